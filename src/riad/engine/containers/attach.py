"""Attaching to a container's streams: a connection to its conmon, there already or as soon as it starts.

conmon ends a container's input when any of its connections ends, if the input was opened for one client (`StdinOnce`
without a terminal). So a client that only listens and goes early leaves its connection to the engine, which reads on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase, Settings
from riad.engine.containers.registry import enlist
from riad.engine.host import conmon
from riad.engine.host.pidfd import settle
from riad.kernel.faults import conflict

STDOUT, STDERR = 1, 2
Output = list[tuple[int, bytes]]
"""(STDOUT | STDERR, data) in the order of coming; neighbours of one stream are joined."""
_PACKET = 2**14
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Attached:
    """Packets of a running container. Close it when done."""

    connection: socket.socket
    ends_input: bool = False
    """The container's input ends with this connection."""

    async def output(self) -> AsyncIterator[Output]:
        """Until the container has ended and everything was read; as much at once as is there."""
        while True:
            packets, ended = self._receive()
            if packets:
                yield joined(packets)
            if ended:
                return
            if not packets:
                await _readable(self.connection)

    def _receive(self) -> tuple[list[bytes], bool]:
        """What is there, up to a batch, and whether the end has come."""
        packets: list[bytes] = []
        receive = self.connection.recv
        try:
            while len(packets) < _BATCH:
                if not (packet := receive(_PACKET)):
                    return packets, True
                packets.append(packet)
        except BlockingIOError:
            pass
        except OSError:
            return packets, True
        return packets, False

    async def read_on(self) -> None:
        """Reads to the end what nobody wants to see, because conmon waits for those that do not; then closes."""
        try:
            async for _ in self.output():
                pass
        finally:
            self.close()

    async def send(self, data: bytes) -> None:
        """Input for the container. Raises ConnectionError when it reads no more."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), conmon.PACKET):
            await loop.sock_sendall(self.connection, data[start : start + conmon.PACKET])

    def end(self) -> bool:
        """The client's input has ended: the container's, too, where it was for one client. Else the session is over."""
        if self.ends_input:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
        return not self.ends_input

    def close(self) -> None:
        self.connection.close()


def joined(packets: list[bytes]) -> Output:
    """conmon's packets as output; what is neither stdout nor stderr is left out. Pure."""
    kinds = {conmon.STDOUT: STDOUT, conmon.STDERR: STDERR}
    found: Output = []
    run: list[bytes] = []
    before = 0
    for packet in packets:
        kind = kinds.get(packet[0], 0)
        if kind != before and run:
            found.append((before, b"".join(run)))
            run = []
        if kind:
            run.append(packet[1:])
        before = kind
    if run:
        found.append((before, b"".join(run)))
    return found


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    handle = connection.fileno()
    if handle < 0:
        return
    loop.add_reader(handle, settle, done)
    try:
        await done
    finally:
        loop.remove_reader(handle)


def ends_input(settings: Settings) -> bool:
    """Whether the container's input ends with the client that gave it."""
    return settings.open_stdin and settings.stdin_once and not settings.tty


def check_attachable(container: Container, reference: str) -> None:
    """Raises CONFLICT for a paused container, and for one that waits to be restarted."""
    if container.phase is Phase.PAUSED:
        raise conflict(f"container {reference} is paused, unpause the container before attach")
    if container.phase is Phase.RESTARTING:
        raise conflict(f"container {reference} is restarting, wait until the container is running")


def connect(engine: Engine, container: Container) -> asyncio.Future[socket.socket | None]:
    """A connection, at once where the container runs, else when it starts; None where that fails."""
    container = engine.registry.fresh(container)
    if container.phase is not Phase.RUNNING:
        return enlist(engine.registry.companion(container.id).attaching)
    future: asyncio.Future[socket.socket | None] = asyncio.get_running_loop().create_future()
    try:
        future.set_result(conmon.attach(engine.paths.bundle(container.id)))
    except OSError:
        future.set_result(None)  # it is ending this moment
    return future


def leave(engine: Engine, attached: Attached, *, gave_input: bool) -> None:
    """Ends a session's connection, without ending the input of a container that the session only listened to."""
    if attached.ends_input and not gave_input:
        engine.spawn(attached.read_on())
    else:
        attached.close()


def resize(engine: Engine, container: Container, *, height: int, width: int) -> None:
    """Sets the size of the container's terminal. Raises CONFLICT where it does not run."""
    container = engine.registry.fresh(container)
    if container.phase not in (Phase.RUNNING, Phase.PAUSED):
        raise conflict(f"container {container.id} is not running")
    with contextlib.suppress(OSError):
        conmon.resize(engine.paths.bundle(container.id), height=height, width=width)
    engine.announce(container, "resize", height=str(height), width=str(width))
