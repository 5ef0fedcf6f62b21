"""The end of a container: noticed through conmon's process, written down, cleaned up, and what follows from it.

The watcher needs no lock: while a container runs nobody else touches its record but by signals, and verbs that want it
gone wait for `process_gone`, which is set when network, mounts and control groups have been given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from riad.engine.containers import health, held, logging, memory_kills, restart, rootfs, sources
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.containers.registry import settle
from riad.engine.host import cgroups, conmon, pidfd
from riad.kernel import logs
from riad.kernel.faults import Fault, Kind

_log = logs.named("engine.containers")
_UNKNOWN = 255
_UNTIL_SPACE = 1.0
"""Seconds between two tries to write to a full disk."""


def watch(engine: Engine, container: Container) -> None:
    """Follows the running container to its end."""
    companion = engine.registry.companion(container.id)
    companion.process_gone.clear()
    with _logged(container, "log"):
        logging.begin(engine, container)
    companion.watcher = engine.spawn(_watch(engine, container))
    memory_kills.watch(engine, container)


async def _watch(engine: Engine, container: Container) -> None:
    handle = pidfd.open_process(container.run.conmon_pid)
    if handle is not None:
        await pidfd.exited(handle)
    while True:
        try:
            return await finish(engine, container)
        except Fault as fault:
            if fault.kind is not Kind.EXHAUSTED:
                raise
            _log.warning("an end cannot be written down", extra=logs.fields(container=container.id[:12], error=fault))
            await asyncio.sleep(_UNTIL_SPACE)


async def finish(engine: Engine, container: Container) -> None:
    """Writes down the end of a container whose conmon has gone, then does what its settings ask for."""
    companion = engine.registry.companion(container.id)
    container = engine.registry.fresh(container)
    ended = conmon.exit_of(container.id, exits=engine.paths.exits, bundle=engine.paths.bundle(container.id))
    if ended is None and container.run.pid in cgroups.processes(engine.group(container)):
        # conmon was killed: what it held together must not go on alone. After a reboot the number is somebody else's.
        pidfd.send(container.run.pid, 9)
    finished_at = datetime.fromtimestamp(ended.at, UTC) if ended else engine.clock.now()
    code = ended.code if ended else _UNKNOWN
    policy = container.settings.host.restart
    again = restart.restarts(
        policy,
        exit_code=code,
        count=container.restart_count,
        stopped_by_user=container.stopped_by_user,
        unhealthy=companion.unhealthy,
    )
    health.ended(engine, container)
    run = replace(
        container.run,
        pid=0,
        conmon_pid=0,
        conmon_ticks=0,
        exit_code=code,
        finished_at=finished_at,
    )
    if memory_kills.happened(engine, container, ended):
        run = replace(run, oom_killed=True)
        if not container.run.oom_killed:
            engine.announce(container, "oom")
    with _logged(container, "log"):
        await logging.end(engine, container)
    container = engine.registry.change(container, phase=Phase.RESTARTING if again else Phase.EXITED, run=run)
    _announce_end(engine, container)  # before those who wait for the end ask what has happened
    if not again:
        settle(companion.ended, code)
    await clean_up(engine, container, told=True)
    companion.process_gone.set()
    if again:
        restart_soon(engine, container)
    elif container.settings.host.auto_remove and not companion.restarting:
        remove_soon(engine, container)


def _announce_end(engine: Engine, container: Container) -> None:
    """In dockerd's order: what it gives back (it follows at once), that it was stopped, its end."""
    engine.networks.announce_release(container.id)
    for mount in container.mounts:
        if mount.volume:
            engine.publish("volume", "unmount", mount.volume, {"driver": mount.driver, "container": container.id})
    if engine.registry.companion(container.id).stopping:
        engine.announce(container, "stop")
    duration = str(int(_ran_for(container)))
    engine.announce(container, "die", exitCode=str(container.run.exit_code), execDuration=duration)


def _ran_for(container: Container) -> float:
    started, finished = container.run.started_at, container.run.finished_at
    return (finished - started).total_seconds() if started and finished else 0.0


async def clean_up(engine: Engine, container: Container, *, told: bool = False) -> None:
    """Gives back what the run had: runtime state, control group, network, mounts. May be called twice; never raises.

    `told`: the release of its networks has been announced.
    """
    with _logged(container, "runtime"):
        group = engine.group(container)
        if cgroups.processes(group) or not engine.runtime.forget(container.id):
            await engine.runtime.delete(container.id)
        cgroups.remove(group)
    with _logged(container, "network"):
        await engine.networks.release(container.id, quietly=told)
    with _logged(container, "mounts"):
        rootfs.unmount(engine, container.id)
        held.release(engine.paths.held, container.id)
        await sources.release(engine, container)
    shutil.rmtree(engine.paths.bundle(container.id), ignore_errors=True)


@contextlib.contextmanager
def _logged(container: Container, what: str) -> Iterator[None]:
    """One part that cannot be given back must not keep the others: recovery tries again when the engine starts."""
    try:
        yield
    except (Fault, OSError) as error:
        _log.error("clean-up failed", extra=logs.fields(container=container.id[:12], part=what, error=error))


async def settled(engine: Engine, container: Container) -> None:
    """Waits until the last run has been cleaned up."""
    watcher = engine.registry.companion(container.id).watcher
    if watcher is not None and not watcher.done() and watcher is not asyncio.current_task():
        await asyncio.wait([watcher])


def restart_soon(engine: Engine, container: Container) -> None:
    companion = engine.registry.companion(container.id)
    well_for = 0.0 if companion.unhealthy else _ran_for(container)
    companion.restart_delay = restart.delay(before=companion.restart_delay, ran_for=well_for)
    companion.restarter = engine.spawn(_restart(engine, container, companion.restart_delay))


async def _restart(engine: Engine, container: Container, delay: float) -> None:
    from riad.engine.containers import start  # the two follow each other in a circle

    await asyncio.sleep(delay)
    async with engine.registry.lock(container.id):
        found = engine.registry.get(container.id)
        if found is None or found.phase is not Phase.RESTARTING:
            return
        engine.registry.companion(container.id).restarter = None
        try:
            await start.begin(engine, replace(found, restart_count=found.restart_count + 1))
        except Fault as fault:
            _log.warning("restart failed", extra=logs.fields(container=container.id[:12], error=fault.message))


def cancel_restart(engine: Engine, container: Container) -> None:
    companion = engine.registry.companion(container.id)
    companion.restart_delay = 0.0
    if companion.restarter is not None:
        companion.restarter.cancel()
        companion.restarter = None


def remove_soon(engine: Engine, container: Container) -> None:
    """Carries out `--rm`."""
    engine.spawn(_remove(engine, container))


async def _remove(engine: Engine, container: Container) -> None:
    from riad.engine.containers import remove

    with contextlib.suppress(Fault):  # somebody else has removed it
        await remove.remove(engine, container, volumes=True)
