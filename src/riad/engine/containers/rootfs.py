"""A container's root filesystem: its image's layers under a folder of its own, mounted while somebody needs it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container
from riad.engine.containers.remap import Remap
from riad.engine.host import idmap, mounts, overlayfs
from riad.kernel.faults import conflict


def mount(engine: Engine, container: Container) -> Path:
    """Mounts it and returns where; what an earlier life left mounted is taken away first."""
    folder = engine.paths.folder(container.id)
    for name, mode in (("diff", 0o755), ("work", 0o700), ("root", 0o755)):
        (folder / name).mkdir(mode=mode, parents=True, exist_ok=True)
    target = engine.paths.root(container.id)
    mounts.unmount(target)
    layers = [engine.images.layers.get(layer).path for layer in container.layers]
    marker = folder / "diff" / ".dockerenv"  # by which programs know that they are in a container
    if not os.path.lexists(marker):
        marker.touch(mode=0o755)
    remap = engine.remapped(container)
    if remap is None:
        overlayfs.mount(layers, folder / "diff", folder / "work", target)
    else:
        _mount_mapped(layers, folder, target, remap)
    return target


def _mount_mapped(layers: Sequence[Path], folder: Path, target: Path, remap: Remap) -> None:
    """Every layer and the container's own folder are bound with other owners first; overlayfs keeps what it was given.

    It makes its own folders when it is mounted, for an owner that the mapping must have.
    """
    points = [folder / "mapped" / str(number) for number in range(len(layers) + 1)]
    try:
        with idmap.acting_as(*remap.mapping.root):
            for source, point in zip((folder, *layers), points, strict=True):
                point.mkdir(parents=True, exist_ok=True)
                idmap.mount(source, point, remap.namespace)
            overlayfs.mount(points[1:], points[0] / "diff", points[0] / "work", target)
    finally:
        for point in points:
            with contextlib.suppress(FileNotFoundError):
                mounts.unmount(point)
                point.rmdir()


def unmount(engine: Engine, container_id: str) -> None:
    """May be called twice, and for containers that never started."""
    mounts.unmount(engine.paths.root(container_id))


@contextlib.contextmanager
def mounted(engine: Engine, container: Container) -> Iterator[Path]:
    """The root filesystem of a container, running or not: the live one, or one mounted for as long as the block lasts.

    Volumes and binds are not in it; see `container.mounts`. Raises CONFLICT while the container is being removed.
    """
    container = engine.registry.fresh(container)
    if container.phase.alive:
        yield engine.paths.root(container.id)
        return
    if engine.registry.lock(container.id).locked():
        raise conflict(f"container {container.id} is being started or removed; try again")
    target = mount(engine, container)
    try:
        yield target
    finally:
        if not engine.registry.fresh(container).phase.alive:
            mounts.unmount(target)


def discard(engine: Engine, container_id: str) -> Path | None:
    """Moves the container's folder out of the way, at once; returns where it waits for `empty`."""
    unmount(engine, container_id)
    folder = engine.paths.folder(container_id)
    engine.paths.trash.mkdir(parents=True, exist_ok=True)
    waiting = engine.paths.trash / container_id
    try:
        folder.rename(waiting)
    except FileNotFoundError:
        return None
    return waiting


def empty(waiting: Path) -> None:
    """Deletes a discarded folder; takes as long as it has files, so call it in a thread."""
    mounts.delete_tree(waiting)
