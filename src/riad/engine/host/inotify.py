"""Being told when a file grows, without polling (inotify(7))."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path
from types import TracebackType

_MODIFY, _ATTRIB, _MOVE_SELF, _DELETE_SELF = 0x2, 0x4, 0x800, 0x400  # _ATTRIB: a name of the file was removed


class Growth:
    """`await growth.next()` returns when the file has changed since the last call. Use with `with`."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._handle < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1: too many watches; raise fs.inotify.max_user_instances")
        if libc.inotify_add_watch(self._handle, os.fsencode(path), _MODIFY | _ATTRIB | _MOVE_SELF | _DELETE_SELF) < 0:
            code = ctypes.get_errno()
            os.close(self._handle)
            raise OSError(code, os.strerror(code), str(path))
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._handle, self._read)

    def _read(self) -> None:
        os.read(self._handle, 65536)
        self._changed.set()

    async def next(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def __enter__(self) -> Growth:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
