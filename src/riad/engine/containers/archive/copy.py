"""`docker cp`: looking at, reading and writing files of a container, running or not.

A running container is seen as its own processes see it, with volumes and tmpfs. For one at rest the same is put
together for as long as the copy takes; while something is written into it, it cannot be started or removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from riad.engine.containers import exits, rootfs, sources
from riad.engine.containers.archive.look import Seen, look, missing, path_of, place
from riad.engine.containers.archive.pack import pack
from riad.engine.containers.archive.unpack import Rules, unpack
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, MountPoint, Phase
from riad.engine.host.beneath import open_beneath
from riad.engine.host.idmap import acting_as
from riad.engine.host.rootview import Bound, Layout, View, of_layers, of_process
from riad.kernel.faults import conflict, denied, invalid, not_found


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """Which places of a container may not be written to: `mounts` are (path, read-only), the deepest first."""

    root: bool
    mounts: tuple[tuple[str, bool], ...]

    @classmethod
    def of(cls, container: Container) -> ReadOnly:
        found = sorted(((mount.target, mount.read_only) for mount in container.mounts), reverse=True)
        return cls(container.settings.host.read_only, tuple(found))

    def check(self, path: str) -> None:
        """Raises DENIED with Docker's sentences."""
        for target, read_only in self.mounts:
            if path == target or path.startswith(f"{target}/"):
                if read_only:
                    raise denied("mounted volume is marked read-only")
                return
        if self.root:
            raise denied("container rootfs is marked read-only")


@dataclass(frozen=True, slots=True)
class Copier:
    """What the archive routes need of containers."""

    engine: Engine

    async def look(self, reference: str, path: str) -> Seen:
        """Raises NOT_FOUND for the container or the path."""
        container = self.engine.registry.find(reference)
        async with self._readable(container) as view:
            return await asyncio.to_thread(look, view.root, place(path), container=reference)

    @asynccontextmanager
    async def reading(self, reference: str, path: str) -> AsyncIterator[tuple[Seen, Iterator[bytes]]]:
        """What is there, and its tar in pieces (each blocks: ask for it in a thread)."""
        container = self.engine.registry.find(reference)
        where = place(path)
        async with self._readable(container) as view:
            seen = await asyncio.to_thread(look, view.root, where, container=reference)
            pieces = await asyncio.to_thread(pack, view.root, where, container=reference, owners=view.owners)
            self.engine.announce(container, "archive-path", path=path)
            yield seen, pieces

    async def write(self, reference: str, path: str, archive: IO[bytes], *, keep_kinds: bool) -> None:
        """Unpacks `archive` (its reads block) into the existing directory `path`.

        Raises NOT_FOUND, INVALID for what is no directory or a broken archive, DENIED for read-only files.
        """
        container = self.engine.registry.find(reference)
        async with self._writable(container) as view:
            fixed = ReadOnly.of(container)
            await asyncio.to_thread(_unpack_at, view, fixed, path, archive, reference, keep_kinds)
        self.engine.announce(container, "extract-to-dir", path=path)

    @asynccontextmanager
    async def _readable(self, container: Container) -> AsyncIterator[View]:
        view = await self._living(container)
        if view is None:
            async with self.engine.registry.lock(container.id):
                view = await self._living(container) or await self._resting(container, writable=False)
        with view:
            yield view

    @asynccontextmanager
    async def _writable(self, container: Container) -> AsyncIterator[View]:
        view = await self._living(container)
        if view is not None:
            with view:
                yield view
            return
        async with self.engine.registry.lock(container.id):
            await exits.settled(self.engine, container)
            with await self._living(container) or await self._resting(container, writable=True) as resting:
                await self._fill_volumes(container, resting)
                yield resting

    async def _living(self, container: Container) -> View | None:
        """What its processes see; None where it has none (any more)."""
        container = self.engine.registry.fresh(container)
        if container.phase not in (Phase.RUNNING, Phase.PAUSED) or not container.run.pid:
            return None
        try:
            remap = self.engine.remapped(container)
            owners = remap.mapping if remap else None
            view = await asyncio.to_thread(of_process, container.run.pid, owners=owners)
        except (ProcessLookupError, FileNotFoundError):
            return None
        # The number may have gone to another process only after the container's end was noticed.
        if self.engine.registry.fresh(container).run.pid != container.run.pid:
            view.close()
            return None
        return view

    async def _resting(self, container: Container, *, writable: bool) -> View:
        container = self.engine.registry.fresh(container)
        if container.phase is Phase.REMOVING:
            raise conflict("container is marked for removal and cannot be copied from or to")
        volumes = {mount.volume for mount in container.mounts if mount.volume}
        for name in volumes:
            self.engine.volumes.use(name)
            await self.engine.volumes.mount(name)
        try:
            return await asyncio.to_thread(of_layers, self._layout(container, writable=writable))
        finally:  # the view keeps what it was made of
            await sources.release(self.engine, container)

    def _layout(self, container: Container, *, writable: bool) -> Layout:
        folder = self.engine.paths.folder(container.id)
        layers = self.engine.images.layer_paths(self.engine.images.by_id(container.image_id))
        for name, mode in (("diff", 0o755), ("work", 0o700), ("root", 0o755)):
            (folder / name).mkdir(mode=mode, parents=True, exist_ok=True)
        if writable:
            rootfs.unmount(self.engine, container.id)
        return Layout(
            # What was written lies on top as one more layer where nothing may be written: several may read at once.
            layers=layers if writable else [*layers, folder / "diff"],
            upper=folder / "diff" if writable else None,
            work=folder / "work" if writable else None,
            bound=_bound(container, folder),
            folder=folder / "root",
            read_only=container.settings.host.read_only,
        )

    async def _fill_volumes(self, container: Container, view: View) -> None:
        """A volume that gets its first file by a copy must have got the image's files before, as at a start."""
        if not any(mount.volume and not mount.no_copy for mount in container.mounts):
            return
        plain = self._layout(container, writable=False)
        bare = Layout(plain.layers, None, None, (), plain.folder)
        with await asyncio.to_thread(of_layers, bare) as image:
            for mount in container.mounts:
                if mount.volume and not mount.no_copy and not mount.subpath:
                    source = Path(f"/proc/self/fd/{image.root}")
                    await self.engine.volumes.populate(mount.volume, source, mount.target)


def _bound(container: Container, folder: Path) -> list[Bound]:
    """Its volumes and binds, outer ones first, and the files that the engine keeps for it."""
    found = [
        Bound(source, mount.target, mount.read_only)
        for mount in sorted(container.mounts, key=lambda mount: mount.target.count("/"))
        if mount.kind != "tmpfs" and mount.source and (source := _source(mount)).exists()
    ]
    kept = {"/etc/hostname": "hostname", "/etc/hosts": "hosts", "/etc/resolv.conf": "resolv.conf"}
    found += [Bound(folder / name, path) for path, name in kept.items() if (folder / name).exists()]
    return found


def _source(mount: MountPoint) -> Path:
    """The folder inside the volume where one is named, wherever links in the volume lead: never out of it."""
    if not mount.subpath:
        return Path(mount.source)
    top = os.open(mount.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        inside = open_beneath(top, mount.subpath, os.O_PATH)
        try:
            return Path(os.readlink(f"/proc/self/fd/{inside}"))
        finally:
            os.close(inside)
    except OSError as error:
        raise not_found(f"cannot access path {mount.source}/{mount.subpath}: {error.strerror}") from None
    finally:
        os.close(top)


def _unpack_at(view: View, fixed: ReadOnly, path: str, archive: IO[bytes], container: str, keep_kinds: bool) -> None:
    root = view.root
    if not path:
        raise invalid("path cannot be empty")
    try:
        target = open_beneath(root, place(path).clean, os.O_PATH | os.O_DIRECTORY)
    except NotADirectoryError:
        raise _no_directory(root, path, container) from None
    except OSError as error:
        raise missing(error, path, container) from None
    try:
        fixed.check(path_of(target))
        with acting_as(*view.owners.root) if view.owners else contextlib.nullcontext():
            unpack(root, target, archive, Rules(keep_kinds=keep_kinds, owners=view.owners))
    finally:
        os.close(target)


def _no_directory(root: int, path: str, container: str) -> Exception:
    """Whether the path itself is a file, or something on the way to it."""
    try:
        os.close(open_beneath(root, place(path).clean, os.O_PATH))
    except OSError:
        return not_found(f"Could not find the file {path} in container {container}")
    return invalid("extraction point is not a directory")
