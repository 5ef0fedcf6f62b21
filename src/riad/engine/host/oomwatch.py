"""Being told at once that the kernel killed a process of a container for want of memory.

conmon listens to the kernel (an event descriptor with cgroup v1, memory.events with v2) and then makes a file `oom` in
the container's bundle. One inotify instance, of which a host has few, watches the bundles of all containers.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

_CREATE, _ONLYDIR, _IGNORED = 0x100, 0x01000000, 0x8000
_HEAD = struct.Struct("iIII")
_FILE = b"oom"


class OomWatch:
    """Call from the event loop. `close` it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = -1
        self._told: dict[int, Callable[[], None]] = {}

    def watch(self, bundle: Path, told: Callable[[], None]) -> None:
        """Calls `told` when it happens, until the folder is gone. Where the kernel refuses there is no early word."""
        if self._handle < 0 and not self._open():
            return
        number = self._libc.inotify_add_watch(self._handle, os.fsencode(bundle), _CREATE | _ONLYDIR)
        if number >= 0:
            self._told[number] = told

    def close(self) -> None:
        if self._handle >= 0:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1

    def _open(self) -> bool:
        self._handle = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._handle >= 0:
            asyncio.get_running_loop().add_reader(self._handle, self._read)
        return self._handle >= 0

    def _read(self) -> None:
        data = os.read(self._handle, 65536)
        place = 0
        while place < len(data):
            number, mask, _, length = _HEAD.unpack_from(data, place)
            name = data[place + _HEAD.size : place + _HEAD.size + length].rstrip(b"\0")
            place += _HEAD.size + length
            if mask & _IGNORED:
                self._told.pop(number, None)
            elif name == _FILE and (told := self._told.get(number)) is not None:
                told()
