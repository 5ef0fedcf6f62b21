"""Where what is mounted into a container comes from, settled at its start: volumes, folders inside them, binds.

What has to be mounted on the host first is held for the run (see `held.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace
from pathlib import Path

from riad.engine.containers import held
from riad.engine.containers.engine import Engine
from riad.engine.containers.export import layers
from riad.engine.containers.model import Container, MountPoint
from riad.engine.containers.remap import Remap, parse_map, within
from riad.engine.host import idmap, mounts
from riad.engine.host.beneath import open_beneath
from riad.engine.host.idmap import IdMap
from riad.engine.host.rootview import of_layers
from riad.kernel.faults import Fault, Kind, invalid

ID_MAP = "riad.idmap."
"""Begins labels that say whose the files of one mount are: `riad.idmap.TARGET=HOST:CONTAINER[:COUNT],…`."""
_RECURSIVE_SINCE = (5, 12)


async def settle(engine: Engine, container: Container, root: Path) -> tuple[MountPoint, ...]:
    """The container's mounts with sources as the runtime can mount them; volumes are filled from the image first.

    Raises INVALID or INTERNAL naming the source that cannot be had.
    """
    found = []
    remap = engine.remapped(container)
    for index, mount in enumerate(container.mounts):
        check_recursion(mount, engine.host.kernel)
        if mount.volume:
            await _ready_volume(engine, container, mount, root, remap)
        elif mount.kind == "bind":
            _make_source(mount)
            _check_propagation(mount)
        if mount.subpath:
            point = await asyncio.to_thread(_hold_subpath, engine.paths.held, container.id, f"subpath{index}", mount)
            mount = replace(mount, source=str(point))
        mapping = _mapping(container, mount, remap)
        if mapping is not None:
            point = await asyncio.to_thread(_hold_mapped, engine, container, f"mapped{index}", mount, mapping)
            mount = replace(mount, source=str(point))
        found.append(mount)
    return tuple(found)


def _mapping(container: Container, mount: MountPoint, remap: Remap | None) -> IdMap | None:
    """Volumes hold the container's own ids; binds hold the host's, unless a label says who is who."""
    text = container.labels.get(ID_MAP + mount.target)
    if text is not None and mount.kind != "tmpfs":
        return within(parse_map(text), remap)
    return remap.mapping if remap is not None and mount.volume else None


def _hold_mapped(engine: Engine, container: Container, name: str, mount: MountPoint, mapping: IdMap) -> Path:
    source = Path(mount.source)
    point = held.place(engine.paths.held, container.id, name, folder=source.is_dir())
    namespace = held.place(engine.paths.held, container.id, f"{name}.ns", folder=False)
    idmap.make_namespace(mapping, namespace)
    try:
        idmap.mount(source, point, namespace)
    finally:
        mounts.unmount(namespace)
        namespace.unlink()
    return point


async def _ready_volume(
    engine: Engine, container: Container, mount: MountPoint, root: Path, remap: Remap | None
) -> None:
    engine.volumes.use(mount.volume)
    await engine.volumes.mount(mount.volume)
    if mount.no_copy or mount.subpath:
        return
    if remap is None:
        await engine.volumes.populate(mount.volume, root, mount.target)
        return
    # Through `root` files have the owners that they have on the host; the volume takes those of the image.
    with await asyncio.to_thread(of_layers, layers(engine, container)) as image:
        await engine.volumes.populate(mount.volume, Path(f"/proc/self/fd/{image.root}"), mount.target)


async def release(engine: Engine, container: Container) -> None:
    """Unmounts the volumes that no other running container uses. Raises INTERNAL."""
    busy = {
        mount.volume
        for other in engine.registry
        if other.phase.alive and other.id != container.id
        for mount in other.mounts
    }
    for name in {mount.volume for mount in container.mounts if mount.volume} - busy:
        await engine.volumes.unmount(name)


def check_recursion(mount: MountPoint, kernel: tuple[int, int]) -> None:
    """Raises INVALID where mounts inside must become read-only and this kernel cannot do that."""
    if mount.recursion == "readonly" and kernel < _RECURSIVE_SINCE:
        raise invalid(
            f"mount {mount.target} cannot be made recursively read-only: this needs Linux 5.12; leave"
            " bind-recursive=readonly out"
        )


def rights(mount: MountPoint, kernel: tuple[int, int]) -> tuple[str, ...]:
    """Options of the runtime for how deep it is bound and what may be written.

    >>> rights(MountPoint("bind", "/t", "/s", read_only=True), (6, 1))
    ('rbind', 'ro', 'rro')
    >>> rights(MountPoint("bind", "/t", "/s", recursion="none"), (6, 1))
    ('bind', 'rw')
    """
    depth = "bind" if mount.recursion == "none" else "rbind"
    if not mount.read_only:
        return depth, "rw"
    deep = mount.recursion in ("", "readonly") and kernel >= _RECURSIVE_SINCE
    return (depth, "ro", "rro") if deep else (depth, "ro")


def _make_source(mount: MountPoint) -> None:
    """`-v /missing:/x` makes the folder, as Docker's oldest habit is; `--mount` does not (and was checked before)."""
    try:
        with contextlib.suppress(FileExistsError):
            Path(mount.source).mkdir(parents=True, mode=0o755)
    except OSError as error:
        reason = f"mkdir {error.filename}: {(error.strerror or '').lower()}"
        raise Fault(Kind.INTERNAL, f"error while creating mount source path '{mount.source}': {reason}") from None


def _check_propagation(mount: MountPoint) -> None:
    """Mounts can only be passed on from, or to, where the host's own mount is shared. Raises INVALID as Docker."""
    wanted = mount.propagation.removeprefix("r")
    if wanted not in ("shared", "slave"):
        return
    point, peers = mounts.propagation_of(Path(mount.source))
    if wanted == "shared" and "shared" not in peers:
        raise invalid(f"path {mount.source} is mounted on {point} but it is not a shared mount")
    if not peers & {"shared", "master"}:
        raise invalid(f"path {mount.source} is mounted on {point} but it is not a shared or slave mount")


def _hold_subpath(folder: Path, container_id: str, name: str, mount: MountPoint) -> Path:
    """Opened beneath the volume, so that links in it lead nowhere else, and held: nobody swaps it afterwards."""
    top = os.open(mount.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        handle = open_beneath(top, mount.subpath, os.O_PATH)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise invalid(f"cannot access path {mount.source}/{mount.subpath}: lstat {mount.subpath}: {reason}") from None
    finally:
        os.close(top)
    try:
        source = Path(f"/proc/self/fd/{handle}")
        point = held.place(folder, container_id, name, folder=source.is_dir())
        mounts.bind(source, point)
        mounts.make_private(point)
    finally:
        os.close(handle)
    return point
