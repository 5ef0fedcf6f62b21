"""Health checks: a command run in the container now and then, and what its exit codes add up to.

As Docker's, with two differences that people have asked for: the first probe runs at once instead of after a whole
interval, and until the container was healthy for the first time it is probed every `start_interval` (5 s by default)
even without a start period. Failures in the start period do not count, nor more than one of them per interval.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace

from riad.engine.containers import exec as executing
from riad.engine.containers import health_record, restart
from riad.engine.containers.engine import Engine
from riad.engine.containers.health_record import HEALTHY, STARTING, UNHEALTHY, Health, Probe, Verdict
from riad.engine.containers.model import Container, Phase
from riad.engine.containers.names import new_id
from riad.engine.host import processes
from riad.kernel.faults import Fault
from riad.oci.config import Healthcheck

_SECOND = 10**9
_OUTPUT = 4096
_FAILED = -1


@dataclass(frozen=True, slots=True)
class Check:
    """What to run and when; times in seconds."""

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


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


def watch(engine: Engine, container: Container, *, found: bool = False) -> None:
    """Begins to probe a container that has just started, or goes on with one that was `found` running; ends with it."""
    config = container.settings.config
    check = check_of(config.healthcheck, config.shell)
    companion = engine.registry.companion(container.id)
    companion.health = None
    if check is not None:
        companion.health = (remembered(engine, container) if found else None) or Health()
        companion.prober = engine.spawn(_probe_on(engine, container, check, companion.health))


def remembered(engine: Engine, container: Container) -> Health | None:
    """What was known when the engine went away; None where nothing was."""
    if container.settings.config.healthcheck is None:
        return None
    return health_record.load(engine.paths.folder(container.id))


def ended(engine: Engine, container: Container) -> None:
    """The container has come to its end: it is not healthy any more, as Docker has it."""
    companion = engine.registry.companion(container.id)
    if companion.prober is not None:
        companion.prober.cancel()
    if isinstance(companion.health, Health):
        companion.health.verdict = replace(companion.health.verdict, status=UNHEALTHY)
        health_record.save(engine.paths.folder(container.id), companion.health)


async def _probe_on(engine: Engine, container: Container, check: Check, health: Health) -> None:
    await asyncio.sleep(_until_next(engine, check, health))
    while True:
        if engine.registry.fresh(container).phase is Phase.RUNNING:
            with contextlib.suppress(Fault):  # it is ending this moment: the watcher will say so
                probe = await _probe(engine, container, check)
                _count(engine, container, check, health, probe)
        await asyncio.sleep(pause_after(health.verdict, check))


def _until_next(engine: Engine, check: Check, health: Health) -> float:
    """Seconds to the first probe of this daemon's life: none for a new container."""
    if not health.log:
        return 0.0
    since = (engine.clock.now() - health.log[-1].ended).total_seconds()
    return max(0.0, pause_after(health.verdict, check) - since)


def _count(engine: Engine, container: Container, check: Check, health: Health, probe: Probe) -> None:
    started = container.run.started_at or probe.began
    health.log.append(probe)
    engine.counted.health_checks += 1
    engine.counted.failed_checks += probe.code != 0
    before = health.verdict.status
    since_start = (probe.began - started).total_seconds()
    health.verdict = judge(health.verdict, check, code=probe.code, since_start=since_start)
    health_record.save(engine.paths.folder(container.id), health)
    if health.verdict.status != before:
        engine.announce(engine.registry.fresh(container), f"health_status: {health.verdict.status}")
        if health.verdict.status == UNHEALTHY and restart.restarts_unhealthy(container):
            from riad.engine.containers import unhealthy  # it stops containers, and so needs what needs this

            engine.spawn(unhealthy.end(engine, container))


async def _probe(engine: Engine, container: Container, check: Check) -> Probe:
    began = engine.clock.now()
    execution = executing.Exec(new_id(), container.id, executing.ExecWish(check.command, stdout=True, stderr=True))
    executing.announce(engine, execution, f"exec_create: {' '.join(check.command)}")
    output = b""
    try:
        streams, followed = await executing.start(engine, execution)
    except Fault as fault:
        if engine.registry.fresh(container).phase is not Phase.RUNNING:
            raise
        return Probe(began, engine.clock.now(), _FAILED, fault.message)
    try:
        async with asyncio.timeout(check.timeout):
            async for batch in streams.output():
                output = (output + b"".join(data for _, data in batch))[: _OUTPUT + 1]
            await asyncio.wait([followed])
        code = execution.exit_code if execution.exit_code is not None else _FAILED
        text = limited(output)
    except TimeoutError:
        processes.kill_tree(execution.pid)
        code = _FAILED
        text = f"Health check exceeded timeout ({duration(check.timeout)})" + (f": {limited(output)}" if output else "")
    finally:
        streams.close()
    return Probe(began, engine.clock.now(), code, text)


def limited(output: bytes) -> str:
    """What is kept of a probe's output; pure."""
    return output[:_OUTPUT].decode(errors="replace") + ("..." if len(output) > _OUTPUT else "")


def duration(seconds: float) -> str:
    """As Go prints a duration: 500ms, 1.5s, 1m30s. Pure."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest:g}s"
