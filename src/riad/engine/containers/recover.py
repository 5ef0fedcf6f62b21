"""Finding containers again after the daemon was gone: those that run are adopted, the rest is finished or taken back.

Two steps, with the networks' own recovery in between: `survey` says who lives, `resume` acts on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from riad.engine.containers import exits, health, held, logging, remove, restart, rootfs, start
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase, Run
from riad.engine.host import cgroups, facts, mounts, pidfd
from riad.kernel import logs
from riad.kernel.faults import Fault

_log = logs.named("engine.recover")
BUILDS = "build"
"""The group beside those of the containers that commands of builds run in."""


@dataclass(frozen=True, slots=True)
class Survey:
    live: tuple[Container, ...]
    ended: tuple[Container, ...]
    """Ran when the daemon was last seen, and have ended since."""
    half_started: tuple[Container, ...]
    removing: tuple[Container, ...]
    """Their removal was begun, or is due (`--rm`)."""
    restarting: tuple[Container, ...]


def survey(engine: Engine) -> Survey:
    """Looks at every container's processes; changes nothing."""
    found: dict[str, list[Container]] = {"live": [], "ended": [], "half": [], "removing": [], "restarting": []}
    for container in engine.registry:
        if (kind := _kind(engine, container)) is not None:
            found[kind].append(container)
    return Survey(*(tuple(containers) for containers in found.values()))


def _kind(engine: Engine, container: Container) -> str | None:
    match container.phase:
        case Phase.RUNNING | Phase.PAUSED:
            return "live" if conmon_lives(container) else "ended"
        case Phase.STARTING:
            return "live" if conmon_lives(container) and _was_let_go(engine, container) else "half"
        case Phase.REMOVING:
            return "removing"
        case Phase.RESTARTING:
            return "restarting"
        case Phase.CREATED | Phase.EXITED:
            ran = container.phase is Phase.EXITED or container.run.error
            return "removing" if container.settings.host.auto_remove and ran else None


def conmon_lives(container: Container) -> bool:
    """Process number and start time are those that were written down (numbers are used again, also across boots)."""
    return facts.same_process(container.run.conmon_pid, container.run.conmon_ticks)


def _was_let_go(engine: Engine, container: Container) -> bool:
    """The runtime removes this pipe when it lets a created container begin."""
    state = engine.runtime.root / container.id
    return state.exists() and not (state / "exec.fifo").exists()


async def resume(engine: Engine, found: Survey, *, rebooted: bool) -> None:
    """Acts on the survey, then starts what rests and is to run with the engine, whatever made that go away."""
    for container in engine.registry:
        engine.registry.companion(container.id).health = health.remembered(engine, container)
        if container.phase is Phase.EXITED:
            logging.deliver_rest(engine, container)
    for container in found.live:
        if container.phase is Phase.STARTING:
            container = engine.registry.change(
                container, phase=Phase.RUNNING, run=replace(container.run, started_at=engine.clock.now())
            )
        container = _as_it_is(engine, container)
        exits.watch(engine, container)
        health.watch(engine, container, found=True)
    for container in found.half_started:
        await _take_back(engine, container)
    for container in found.ended:
        await exits.finish(engine, container)
    for container in found.removing:
        if container.phase is not Phase.REMOVING:
            container = engine.registry.change(container, phase=Phase.REMOVING)
        await remove.carry_out(engine, container, volumes=container.settings.host.auto_remove)
    for container in found.restarting:
        exits.restart_soon(engine, container)
    await sweep(engine, {container.id for container in found.live})
    for container in engine.registry:
        if container.phase is Phase.EXITED and restart.starts_with_engine(container):
            engine.spawn(_start(engine, container))
    _log.info(
        "containers found again",
        extra=logs.fields(
            live=len(found.live), ended=len(found.ended), half_started=len(found.half_started), rebooted=rebooted
        ),
    )


def _as_it_is(engine: Engine, container: Container) -> Container:
    """A pause that was not written down (also the one around a commit) is taken back, half an unpause is finished."""
    frozen = cgroups.frozen(engine.group(container))
    if container.phase is Phase.PAUSED and not frozen:
        return engine.registry.change(container, phase=Phase.RUNNING)
    if container.phase is Phase.RUNNING and frozen:
        cgroups.thaw(engine.group(container))
    return container


async def _take_back(engine: Engine, container: Container) -> None:
    """A start that the daemon did not live to finish."""
    if conmon_lives(container):
        pidfd.send(container.run.conmon_pid, 9)
    await engine.runtime.delete(container.id)
    await exits.clean_up(engine, container)
    engine.registry.change(
        container,
        phase=Phase.EXITED,
        run=Run(
            exit_code=128,
            error="the engine went away while the container was being started",
            finished_at=engine.clock.now(),
        ),
    )
    if container.settings.host.restart.name in ("always", "unless-stopped"):
        engine.spawn(_start(engine, container))
    elif container.settings.host.auto_remove:
        exits.remove_soon(engine, container)


async def _start(engine: Engine, container: Container) -> None:
    try:
        await start.start(engine, container)
    except Fault as fault:
        _log.warning("start failed", extra=logs.fields(container=container.id[:12], error=fault.message))


async def sweep(engine: Engine, live: set[str]) -> None:
    """Removes what belongs to no living container: runtime state, mounts, folders."""
    for name in engine.runtime.known() - live:
        with contextlib.suppress(Fault):
            await engine.runtime.delete(name)
    for name in cgroups.children(engine.cgroup_parent) - live - {BUILDS}:
        cgroups.remove(f"{engine.cgroup_parent}/{name}")
    containers = (engine.paths.data / "containers").resolve()
    for point in mounts.mounted_under(containers):
        if point.relative_to(containers).parts[0] not in live:
            with contextlib.suppress(Fault):
                mounts.unmount(point)
    held.sweep(engine.paths.held, live)
    await engine.volumes.sweep({m.volume for c in engine.registry if c.id in live for m in c.mounts})
    known = {container.id for container in engine.registry}
    for owner in engine.images.layers.owners():
        kind, _, name = owner.partition(":")
        if kind == "container" and name not in known:
            engine.images.layers.release(owner)
    for folder in _children(engine.paths.run / "containers"):
        if folder.name not in live:
            shutil.rmtree(folder, ignore_errors=True)
    for folder in _children(engine.paths.data / "containers"):
        if folder.name not in known:
            rootfs.discard(engine, folder.name)
    for folder in _children(engine.paths.trash):
        await asyncio.to_thread(rootfs.empty, folder)


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []
