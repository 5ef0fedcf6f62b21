"""Removing containers: the intention first, then the folder is moved away at once and deleted when there is time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

from riad.engine.containers import exits, rootfs, stop
from riad.engine.containers.engine import Engine
from riad.engine.containers.linking import parse_link
from riad.engine.containers.model import Container, Phase
from riad.engine.host.disk import on_disk
from riad.kernel.faults import Fault, conflict, not_found


async def remove(engine: Engine, container: Container, *, force: bool = False, volumes: bool = False) -> None:
    """Forgets a container at rest; with `force` ends it first, with `volumes` its anonymous volumes go too.

    Raises CONFLICT with Docker's sentences where it runs.
    """
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        if container.phase.alive or container.phase is Phase.RESTARTING:
            if not force:
                way_out = (
                    "paused and must be unpaused first"
                    if container.phase is Phase.PAUSED
                    else f"{container.phase.value}: stop the container before removing or force remove"
                )
                raise conflict(f'cannot remove container "/{container.name}": container is {way_out}')
            container = await _end(engine, container)
        await exits.settled(engine, container)
        await carry_out(engine, engine.registry.change(container, phase=Phase.REMOVING), volumes=volumes)


async def _end(engine: Engine, container: Container) -> Container:
    if container.phase is Phase.RESTARTING:
        return stop.give_up_restart(engine, container)
    engine.registry.change(container, stopped_by_user=True)
    await stop.force_end(engine, container)
    return engine.registry.fresh(container)


async def carry_out(engine: Engine, container: Container, *, volumes: bool = False) -> None:
    """The removal itself, also of one that a killed daemon had begun."""
    exits.cancel_restart(engine, container)
    waiting = rootfs.discard(engine, container.id)
    with contextlib.suppress(FileNotFoundError):
        (engine.paths.exits / container.id).unlink()
    engine.registry.remove(container)
    engine.images.layers.release(f"container:{container.id}")
    engine.announce(container, "destroy")
    if waiting is not None:
        engine.spawn(asyncio.to_thread(rootfs.empty, waiting))
    if volumes:
        for mount in container.mounts:
            if mount.volume:
                await _remove_anonymous(engine, mount.volume)


async def _remove_anonymous(engine: Engine, name: str) -> None:
    with contextlib.suppress(Fault):  # gone already, or another container uses it
        if engine.volumes.get(name).is_anonymous:
            await engine.volumes.remove(name)


async def remove_link(engine: Engine, container: Container, alias: str) -> None:
    """`docker rm --link CONTAINER/ALIAS`; the name goes at the next start. Raises NOT_FOUND."""
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        settings = container.settings
        kept = tuple(text for text in settings.host.links if parse_link(text).alias != alias)
        if len(kept) == len(settings.host.links):
            raise not_found(f"No such link: /{container.name}/{alias}")
        engine.registry.change(container, settings=replace(settings, host=replace(settings.host, links=kept)))


async def prune(engine: Engine, wanted: Callable[[Container], bool]) -> tuple[list[str], int]:
    """Removes every container at rest that `wanted` picks; returns their ids and the bytes their folders took."""
    removed, reclaimed = [], 0
    for container in engine.registry:
        if container.phase in (Phase.CREATED, Phase.EXITED) and wanted(container):
            size = await asyncio.to_thread(on_disk, engine.paths.folder(container.id))
            with contextlib.suppress(Fault):  # started or removed meanwhile
                await remove(engine, container)
                removed.append(container.id)
                reclaimed += size
    return removed, reclaimed
