"""Being told what changes in folders, without polling: one inotify(7) descriptor for everybody.

A first change is told at once; while changes keep coming they are told every few milliseconds, so that a container
that writes without end costs a bounded number of wake-ups and not one per line.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

_MODIFY, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x80, 0x100, 0x200
_Q_OVERFLOW, _IGNORED = 0x4000, 0x8000
_HEAD = struct.Struct("iIII")
_PAUSE = 0.005
"""Seconds between two readings of the descriptor while changes keep coming."""

Callback = Callable[[], None]


class Watches:
    """Belongs to the event loop that first watches something."""

    def __init__(self) -> None:
        self._handle = -1
        self._folders: dict[str, int] = {}
        self._callbacks: dict[int, dict[object, tuple[str, Callback]]] = {}

    def add(self, path: Path, changed: Callback) -> Callback:
        """Calls `changed` when the file at `path` grows, appears or is replaced, until what this returns is called.

        The folder must be there. Raises OSError where the kernel has no more watches to give.
        """
        watch = self._watch(str(path.parent))
        key = object()
        self._callbacks.setdefault(watch, {})[key] = (path.name, changed)

        def cancel() -> None:
            callbacks = self._callbacks.get(watch, {})
            if callbacks.pop(key, None) and not callbacks:
                self._forget(watch)
                with contextlib.suppress(OSError):
                    _libc().inotify_rm_watch(self._handle, watch)

        return cancel

    @contextlib.contextmanager
    def growth(self, path: Path) -> Iterator[asyncio.Event]:
        """An event that is set by each change of `path`; whoever waits for it clears it."""
        changed = asyncio.Event()
        cancel = self.add(path, changed.set)
        try:
            yield changed
        finally:
            cancel()

    def close(self) -> None:
        if self._handle >= 0:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1
            self._folders.clear()
            self._callbacks.clear()

    def _watch(self, folder: str) -> int:
        self._open()
        if folder in self._folders:
            return self._folders[folder]
        watch = int(
            _libc().inotify_add_watch(self._handle, os.fsencode(folder), _MODIFY | _MOVED_TO | _CREATE | _DELETE)
        )
        if watch < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"inotify_add_watch: {os.strerror(code)}; raise fs.inotify.max_user_watches?", folder)
        self._folders[folder] = watch
        return watch

    def _open(self) -> None:
        if self._handle >= 0:
            return
        self._handle = _libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._handle < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1: too many instances; raise fs.inotify.max_user_instances")
        asyncio.get_running_loop().add_reader(self._handle, self._read)

    def _read(self) -> None:
        changes = set()
        with contextlib.suppress(BlockingIOError):
            changes = set(events(os.read(self._handle, 2**16)))
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._handle)
        loop.call_later(_PAUSE, self._resume)
        if any(mask & _Q_OVERFLOW for _, mask, _ in changes):
            self._tell_all()
            return
        for watch, mask, name in changes:
            if mask & _IGNORED:
                self._forget(watch)
            for wanted, changed in list(self._callbacks.get(watch, {}).values()):
                if wanted == name:
                    changed()

    def _resume(self) -> None:
        if self._handle >= 0:
            asyncio.get_running_loop().add_reader(self._handle, self._read)

    def _tell_all(self) -> None:
        """The kernel's queue was too short: everything may have changed."""
        for callbacks in list(self._callbacks.values()):
            for _, changed in list(callbacks.values()):
                changed()

    def _forget(self, watch: int) -> None:
        self._callbacks.pop(watch, None)
        self._folders = {folder: known for folder, known in self._folders.items() if known != watch}


def events(data: bytes) -> Iterator[tuple[int, int, str]]:
    """(watch, mask, name) of each event in what the kernel wrote; pure. A growing file's many events are one here."""
    place = 0
    while place + _HEAD.size <= len(data):
        watch, mask, _, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        yield watch, mask, os.fsdecode(data[place : place + length].rstrip(b"\0"))
        place += length


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
