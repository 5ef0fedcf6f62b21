"""Attaching to a container's streams: a connection to its conmon, there already or as soon as it starts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.host import conmon
from riad.kernel.faults import conflict

STDOUT, STDERR = 1, 2
_RECEIVED = 2**16


@dataclass(frozen=True, slots=True)
class Attached:
    """Packets of a running container. Close it when done."""

    connection: socket.socket

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """(STDOUT | STDERR, data) until the container has ended and everything was read."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                packet = await loop.sock_recv(self.connection, _RECEIVED)
            except ConnectionError:
                return
            if not packet:
                return
            if packet[0] in (conmon.STDOUT, conmon.STDERR):
                yield (STDOUT if packet[0] == conmon.STDOUT else STDERR), packet[1:]

    async def send(self, data: bytes) -> None:
        """Input for the container. Raises ConnectionError when it reads no more."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), conmon.PACKET):
            await loop.sock_sendall(self.connection, data[start : start + conmon.PACKET])

    def end_input(self) -> None:
        """The container's standard input ends, if it was opened to end with its client."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.connection.close()


def attach(engine: Engine, container: Container) -> asyncio.Future[socket.socket | None]:
    """A connection, at once where the container runs, else when it starts; None where that fails.

    Raises CONFLICT for a paused container.
    """
    container = engine.registry.fresh(container)
    future: asyncio.Future[socket.socket | None] = asyncio.get_running_loop().create_future()
    if container.phase is Phase.PAUSED:
        raise conflict(f"container {container.id} is paused, unpause the container before attach")
    if container.phase is Phase.RUNNING:
        try:
            future.set_result(conmon.attach(engine.paths.bundle(container.id)))
        except OSError:
            future.set_result(None)  # it is ending this moment
    else:
        engine.registry.companion(container.id).attaching.append(future)
    return future


def resize(engine: Engine, container: Container, *, height: int, width: int) -> None:
    """Sets the size of the container's terminal. Raises CONFLICT where it does not run."""
    container = engine.registry.fresh(container)
    if container.phase is not Phase.RUNNING:
        raise conflict(f"container {container.id} is not running")
    with contextlib.suppress(OSError):
        conmon.resize(engine.paths.bundle(container.id), height=height, width=width)
