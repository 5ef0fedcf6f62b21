"""Pipes, terminals and packet sockets as awaitable byte streams, straight on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path

from riad.engine.host.pidfd import settle

_ROOM = 2**20


class Pipe:
    """One non-blocking descriptor that this object owns."""

    def __init__(self, handle: int, *, roomy: bool = False) -> None:
        """`roomy` lets a pipe hold more than 64 KiB, for fewer wake-ups per megabyte."""
        os.set_blocking(handle, False)
        if roomy:
            with contextlib.suppress(OSError):  # beyond the kernel's bound for this user
                fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, _ROOM)
        self.handle = handle
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()

    async def read(self, limit: int = 65536) -> bytes:
        """b"" at the end; a terminal whose last process has gone has ended."""
        while self.handle >= 0:
            try:
                return os.read(self.handle, limit)
            except BlockingIOError:
                await self._readable()
            except OSError as error:
                if error.errno == errno.EIO:
                    return b""
                raise
        return b""

    async def write(self, data: bytes) -> None:
        """Raises BrokenPipeError when nobody reads any more."""
        rest = memoryview(data)
        while rest:
            if self.handle < 0:
                raise BrokenPipeError(errno.EPIPE, "closed")
            try:
                rest = rest[os.write(self.handle, rest) :]
            except BlockingIOError:
                await self._writable()

    async def _readable(self) -> None:
        await self._ready(self._loop.add_reader, self._loop.remove_reader)

    async def _writable(self) -> None:
        await self._ready(self._loop.add_writer, self._loop.remove_writer)

    async def _ready(self, add: Callable[..., None], remove: Callable[[int], bool]) -> None:
        """Until the descriptor is ready, or closed. A closed one may be somebody else's by now: hands off then."""
        handle, done = self.handle, self._loop.create_future()
        self._waiting.add(done)
        add(handle, settle, done)
        try:
            await done
        finally:
            self._waiting.discard(done)
            if self.handle == handle:
                remove(handle)

    def close(self) -> None:
        """Those who wait find the end."""
        handle, self.handle = self.handle, -1
        if handle >= 0:
            self._loop.remove_reader(handle)
            self._loop.remove_writer(handle)
            os.close(handle)
        for done in self._waiting:
            settle(done)


def connect_packets(path: Path) -> socket.socket:
    """A connected, non-blocking SOCK_SEQPACKET socket. Reaches it through its folder: socket paths end at 108 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
    connection.setblocking(False)
    return connection


class ConsoleSocket:
    """Where an OCI runtime sends the terminal of a process (`--console-socket` ADDRESS). Use with `with`.

    The address of a socket is at most 107 bytes, so it goes by the folder's descriptor, however deep the folder is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    @property
    def address(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._folder}/{self._path.name}"

    def __enter__(self) -> ConsoleSocket:
        self._listening.bind(self.address)
        self._listening.listen(1)
        self._listening.setblocking(False)
        return self

    async def receive(self) -> int:
        """The descriptor of the terminal's master."""
        connection, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        with connection:
            connection.setblocking(True)  # the descriptor follows at once
            _, handles, _, _ = socket.recv_fds(connection, 4096, 1)
            return handles[0]

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        os.close(self._folder)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
