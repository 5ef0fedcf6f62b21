"""Health checks: a command run in the container now and then, and what its exit codes add up to.

As Docker's, with two differences that people have asked for: the first probe runs at once instead of after a whole
interval, and until the container was healthy for the first time it is probed every `start_interval` (5 s by default)
even without a start period. Failures in the start period do not count, nor more than one of them per interval.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from riad.engine.containers import exec as executing
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.containers.names import new_id
from riad.engine.host import pidfd
from riad.kernel.faults import Fault
from riad.oci.config import Healthcheck

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
_SECOND = 10**9
_OUTPUT = 4096
_KEPT = 5
_TIMED_OUT = -1


@dataclass(frozen=True, slots=True)
class Check:
    """What to run and when; times in seconds."""

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Probe:
    began: datetime
    ended: datetime
    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`counted_at` is when the last failure that counts was, in seconds since the container's start."""

    status: str = STARTING
    streak: int = 0
    counted_at: float | None = None


@dataclass(slots=True)
class Health:
    """What is known of one running container."""

    verdict: Verdict = Verdict()
    log: deque[Probe] = field(default_factory=lambda: deque(maxlen=_KEPT))


def check_of(health: Healthcheck | None, shell: tuple[str, ...] = ()) -> Check | None:
    """The check of a container's configuration; None where it has none."""
    match health.test if health else ():
        case ("CMD", *command) if command:
            found = tuple(command)
        case ("CMD-SHELL", text):
            found = (*(shell or ("/bin/sh", "-c")), text)
        case _:
            return None
    assert health is not None
    return Check(
        command=found,
        interval=health.interval / _SECOND or 30.0,
        timeout=health.timeout / _SECOND or 30.0,
        start_period=health.start_period / _SECOND,
        start_interval=health.start_interval / _SECOND or 5.0,
        retries=health.retries or 3,
    )


def judge(before: Verdict, check: Check, *, code: int, since_start: float) -> Verdict:
    """The verdict after one more probe; pure."""
    if code == 0:
        return Verdict(HEALTHY)
    if before.status == STARTING:
        early = since_start < check.start_period
        crowded = before.counted_at is not None and since_start - before.counted_at < check.interval
        if early or crowded:
            return before
    streak = before.streak + 1
    status = UNHEALTHY if streak >= check.retries else before.status
    return replace(before, status=status, streak=streak, counted_at=since_start)


def pause_after(verdict: Verdict, check: Check) -> float:
    """Seconds until the next probe."""
    return min(check.start_interval, check.interval) if verdict.status == STARTING else check.interval


def watch(engine: Engine, container: Container) -> None:
    """Begins to probe a container that has just started or was found again; ends with it."""
    config = container.settings.config
    check = check_of(config.healthcheck, config.shell)
    companion = engine.registry.companion(container.id)
    companion.health = None
    if check is not None:
        companion.health = Health()
        companion.prober = engine.spawn(_probe_on(engine, container, check, companion.health))


async def _probe_on(engine: Engine, container: Container, check: Check, health: Health) -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    while True:
        if engine.registry.fresh(container).phase is Phase.RUNNING:
            with contextlib.suppress(Fault):  # it is ending this moment: the watcher will say so
                probe = await _probe(engine, container, check)
                health.log.append(probe)
                engine.counted.health_checks += 1
                engine.counted.failed_checks += probe.code != 0
                before = health.verdict.status
                health.verdict = judge(health.verdict, check, code=probe.code, since_start=loop.time() - begin)
                if health.verdict.status != before:
                    engine.announce(container, f"health_status: {health.verdict.status}")
        await asyncio.sleep(pause_after(health.verdict, check))


async def _probe(engine: Engine, container: Container, check: Check) -> Probe:
    began = engine.clock.now()
    execution = executing.Exec(new_id(), container.id, executing.ExecWish(check.command, stdout=True, stderr=True))
    output = b""
    try:
        streams, followed = await executing.start(engine, execution)
    except Fault as fault:
        if engine.registry.fresh(container).phase is not Phase.RUNNING:
            raise
        return Probe(began, engine.clock.now(), execution.exit_code or 1, fault.message)
    try:
        async with asyncio.timeout(check.timeout):
            async for batch in streams.output():
                output = (output + b"".join(data for _, data in batch))[: _OUTPUT + 1]
            await asyncio.wait([followed])
        code = execution.exit_code if execution.exit_code is not None else 1
    except TimeoutError:
        pidfd.send(execution.pid, signal.SIGKILL)
        code = _TIMED_OUT
        output = f"Health check exceeded timeout ({check.timeout:g}s)".encode()
    finally:
        streams.close()
    return Probe(began, engine.clock.now(), code, output.decode(errors="replace"))
