"""Changing mounts and environment of a container: it keeps its id, name, writable layer, networks and ports.

What runs in a container cannot be given other mounts or another environment, so one that runs is stopped and started
again. Where the start fails the old settings come back and the container runs on with those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from riad.engine.containers import create, mounting, start, stop
from riad.engine.containers.engine import Engine
from riad.engine.containers.merge import merge_env
from riad.engine.containers.model import Container, HostSettings, MountPoint, MountWish, Phase, Settings
from riad.kernel import logs
from riad.kernel.faults import Fault, conflict, invalid, not_found

_log = logs.named("engine.containers")


@dataclass(frozen=True, slots=True)
class Remaking:
    """`environment`: NAME=value sets, a bare NAME takes away. `remove` names targets of mounts."""

    environment: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    mounts: tuple[MountWish, ...] = ()
    remove: tuple[str, ...] = ()


async def remake(engine: Engine, container: Container, changes: Remaking, *, timeout: int | None = None) -> Container:
    """Raises NOT_FOUND for a mount to remove that is not there, INVALID, CONFLICT; `timeout` is that of the stop."""
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        if container.phase in (Phase.REMOVING, Phase.PAUSED, Phase.RESTARTING, Phase.STARTING):
            raise conflict(f"container {container.name} is {container.phase.value}: it cannot be changed now")
        settings = planned(container, changes)
        wishes = [*map(mounting.parse_bind, changes.binds), *_checked(changes.mounts)]
        for wish in wishes:
            mounting.check_source(wish)
        was_running = container.phase.alive
        if was_running:
            await stop.stop_for_change(engine, container, timeout=timeout)
        before = engine.registry.fresh(container)
        after = engine.registry.change(before, settings=settings, mounts=_mounts(engine, before, wishes, changes))
        if was_running:
            after = await _start(engine, after, before)
        engine.announce(after, "update")
        return after


async def _start(engine: Engine, after: Container, before: Container) -> Container:
    try:
        return await start.begin(engine, engine.registry.fresh(after))
    except Fault as fault:
        back = engine.registry.change(after, settings=before.settings, mounts=before.mounts)
        try:
            await start.begin(engine, engine.registry.fresh(back))
        except Fault as again:
            _log.error("a container does not start again", extra=logs.fields(container=after.name, error=again.message))
        raise Fault(
            fault.kind, f"container {after.name} does not start so and runs as before: {fault.message}"
        ) from None


def planned(container: Container, changes: Remaking) -> Settings:
    """The settings after `changes`. Pure."""
    for entry in changes.environment:
        if not entry or entry.startswith("="):
            raise invalid(f"invalid environment variable: {entry}")
    settings = container.settings
    env = merge_env(settings.config.env, changes.environment)
    for target in changes.remove:
        if target not in {mount.target for mount in container.mounts}:
            raise not_found(f"container {container.name} has no mount at {target}")
    host = _host(settings.host, changes)
    return replace(settings, config=replace(settings.config, env=env), host=host)


def _host(host: HostSettings, changes: Remaking) -> HostSettings:
    gone = set(changes.remove)
    binds = tuple(text for text in host.binds if mounting.parse_bind(text).target not in gone)
    mounts = tuple(mount for mount in host.mounts if mounting.checked_target(mount.target, mount.target) not in gone)
    tmpfs = {path: options for path, options in host.tmpfs.items() if mounting.checked_target(path, path) not in gone}
    after = replace(host, binds=(*binds, *changes.binds), mounts=(*mounts, *changes.mounts), tmpfs=tmpfs)
    mounting.wishes(after, ())  # raises for two mounts at one place
    return after


def _checked(mounts: Sequence[MountWish]) -> list[MountWish]:
    return [replace(mount, target=mounting.checked_target(mount.target, mount.target)) for mount in mounts]


def _mounts(
    engine: Engine, container: Container, wishes: Sequence[MountWish], changes: Remaking
) -> tuple[MountPoint, ...]:
    """New ones take the place of an image's own volumes."""
    gone = {*changes.remove, *(wish.target for wish in wishes)}
    kept = [mount for mount in container.mounts if mount.target not in gone]
    return (*kept, *(create.mount_point(engine.volumes, wish) for wish in wishes))
