"""The volumes of one engine: named and anonymous, on the local driver.

Data is never removed unless asked: not by a failed create, not by a lost row, not at start. A removal renames the
folder first, so that a kill in the middle leaves either the whole volume or none of it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from riad.engine.host import mounts
from riad.engine.state import State
from riad.engine.volumes import local
from riad.engine.volumes.copyup import populate
from riad.engine.volumes.local import check_options
from riad.engine.volumes.model import ANONYMOUS, Volume, check_driver, check_name
from riad.engine.volumes.store import VolumeStore
from riad.kernel import logs
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault, Kind, conflict, not_found

_log = logs.named("engine.volumes")
_REMOVED = ".removed-"

Users = Callable[[str], Iterable[str]]
"""The ids of the containers, running or not, that use the volume of this name."""

Announce = Callable[[str, str, Mapping[str, str]], None]
"""Told of each happening (create, destroy), the volume's name and attributes."""


class Volumes:
    """Called from the event loop; files are handled in threads."""

    def __init__(
        self,
        state: State,
        root: Path,
        *,
        clock: Clock,
        users: Users = lambda _: (),
        announce: Announce = lambda *_: None,
    ) -> None:
        self._store = VolumeStore(state, root)
        self._root = root
        self._clock = clock
        self._users = users
        self._announce = announce
        self._filling: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def recover(self) -> None:
        """Finishes removals that a killed daemon began. Call once, before anything else."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
        for folder in self._root.iterdir():
            if folder.name.startswith(_REMOVED):
                await asyncio.to_thread(mounts.delete_tree, folder)
        for volume in self._store.all():
            if not volume.mountpoint.exists():
                _log.warning("a volume's folder is gone", extra=logs.fields(volume=volume.name))
                self._store.delete(volume.name)

    def create(
        self,
        name: str = "",
        *,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Makes a volume, anonymous where `name` is empty; one that exists is returned as it is.

        Raises INVALID for the name or an option, NOT_FOUND for the driver, UNSUPPORTED for a size.
        """
        self.check(name, driver=driver, options=options)
        if not name:
            return self._make(secrets.token_hex(32), {ANONYMOUS: "", **(labels or {})}, options or {})
        return self._store.get(name) or self._make(name, labels or {}, options or {})

    def check(self, name: str, *, driver: str = "local", options: Mapping[str, str] | None = None) -> None:
        """Raises what `create` would, and makes nothing."""
        check_driver(name, driver)
        if name:
            check_name(name)
        if not name or self._store.get(name) is None:
            check_options(options or {})

    def all(self) -> list[Volume]:
        """By name."""
        return self._store.all()

    def get(self, name: str) -> Volume:
        """Raises NOT_FOUND."""
        volume = self._store.get(name)
        if volume is None:
            raise not_found(f"get {name}: no such volume")
        return volume

    def use(self, name: str) -> Path:
        """The folder to mount; makes the volume where it is missing, as `docker run -v name:/path` expects."""
        return self.create(name).mountpoint

    async def mount(self, name: str) -> None:
        """Mounts what the volume's options say; twice is no error. Raises INTERNAL with the kernel's reason."""
        volume = self.get(name)
        if volume.options:
            async with self._filling[name]:
                if not mounts.is_mounted(volume.mountpoint):
                    await asyncio.to_thread(local.mount, volume.options, volume.mountpoint)

    async def unmount(self, name: str) -> None:
        """The other way: call it when no running container uses the volume. Twice is no error."""
        volume = self._store.get(name)
        if volume is not None and volume.options:
            async with self._filling[name]:
                await asyncio.to_thread(mounts.unmount, volume.mountpoint)

    async def sweep(self, used: Collection[str]) -> None:
        """Unmounts what a killed daemon left mounted for containers that are gone; `used` are still needed."""
        for volume in self._store.all():
            if volume.name not in used:
                await self.unmount(volume.name)

    async def populate(self, name: str, source: Path, path: str = ".") -> None:
        """Copies directory `path`, as the container's file system mounted on `source` sees it, into an empty volume.

        Raises EXHAUSTED for a full disk; the volume is then empty and the next container tries again.
        """
        volume = self.get(name)
        async with self._filling[name]:
            try:
                await asyncio.to_thread(populate, volume.mountpoint, source, path)
            except OSError as error:
                raise Fault(Kind.EXHAUSTED, f"cannot copy {path} of the image into volume {name}: {error}") from None

    def users(self, name: str) -> list[str]:
        """The ids of the containers that use it."""
        return list(self._users(name))

    async def remove(self, name: str, *, force: bool = False) -> None:
        """With all its data. Raises CONFLICT while a container uses it; `force` only forgives an unknown name."""
        volume = self._store.get(name)
        if volume is None:
            if force:
                return
            raise not_found(f"get {name}: no such volume")
        users = self.users(name)
        if users:
            raise conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
        await self._discard(volume)

    async def prune(self, wanted: Callable[[Volume], bool]) -> tuple[list[str], int]:
        """Removes every unused volume that `wanted` picks; returns their names and the bytes they took."""
        names, reclaimed = [], 0
        for volume in self._store.all():
            if wanted(volume) and not self.users(volume.name):
                reclaimed += await self.size(volume)
                await self._discard(volume)
                names.append(volume.name)
        return names, reclaimed

    async def size(self, volume: Volume) -> int:
        """Bytes on disk, as du counts."""
        return await asyncio.to_thread(_disk_usage, volume.mountpoint)

    def _make(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> Volume:
        volume = Volume(name, self._root / name / "_data", self._clock.now(), dict(labels), dict(options))
        self._store.add(volume)
        try:
            volume.mountpoint.parent.mkdir(parents=True, exist_ok=True, mode=0o701)
            volume.mountpoint.mkdir(exist_ok=True, mode=0o755)
        except OSError as error:
            self._store.delete(name)
            raise Fault(Kind.EXHAUSTED, f"cannot make volume {name}: {error}") from None
        self._announce("create", name, {"driver": "local"})
        return volume

    async def _discard(self, volume: Volume) -> None:
        # What it mounts is somebody else's data: nothing of that is ours to delete.
        await self.unmount(volume.name)
        if volume.options and mounts.is_mounted(volume.mountpoint):
            raise conflict(f"remove {volume.name}: something is still mounted on {volume.mountpoint}; unmount it first")
        folder = volume.mountpoint.parent
        doomed = self._root / f"{_REMOVED}{secrets.token_hex(8)}"
        folder.rename(doomed)
        self._store.delete(volume.name)
        self._filling.pop(volume.name, None)
        await asyncio.to_thread(mounts.delete_tree, doomed)
        self._announce("destroy", volume.name, {"driver": "local"})


def _disk_usage(folder: Path) -> int:
    total, seen = 0, set()
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            try:
                about = os.lstat(os.path.join(parent, name))
            except FileNotFoundError:
                continue
            if (about.st_dev, about.st_ino) not in seen:
                seen.add((about.st_dev, about.st_ino))
                total += about.st_blocks * 512
    return total
