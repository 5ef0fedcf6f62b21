"""Published ports on the host's own ::1, by TCP: the one place where rules cannot lead a packet to a container.

The kernel drops an answer to ::1 that comes by a link other than lo, and unlike for 127/8 (route_localnet) nothing
lifts that where bridged packets pass the firewall (br_netfilter, which dockerd and Kubernetes switch on). So the
rules leave ::1 alone and the daemon hands these connections on itself. Nobody's address is lost by it: the client is
this host. While the daemon is away ::1 refuses, and clients that asked for "localhost" go on to 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

from riad.engine.networks.model import PublishedPort

_CHUNK = 1 << 17
_PATIENCE = 10.0
"""Seconds for a container to take the connection."""


@dataclass(frozen=True, slots=True)
class Target:
    address: IPv6Address
    port: int


class Relays:
    def __init__(self) -> None:
        self._servers: dict[tuple[str, PublishedPort], tuple[Target, asyncio.Server]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, container_id: str, wanted: Mapping[PublishedPort, tuple[Target, socket.socket]]) -> None:
        """Hands connections of exactly these listening sockets on; the sockets stay the caller's."""
        for key in [key for key in self._servers if key[0] == container_id]:
            if key[1] not in wanted or wanted[key[1]][0] != self._servers[key][0]:
                self._servers.pop(key)[1].close()
        for port, (target, listening) in wanted.items():
            if (container_id, port) not in self._servers:
                self._servers[container_id, port] = target, await self._serve(target, listening)

    async def close(self) -> None:
        for _, server in self._servers.values():
            server.close()
        self._servers.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, target: Target, listening: socket.socket) -> asyncio.Server:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(_hand_on(target, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return await asyncio.start_server(connected, sock=listening.dup())


async def _hand_on(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            inward, outward = await asyncio.open_connection(str(target.address), target.port)
    except (OSError, TimeoutError):
        writer.transport.abort()  # as if nobody listened
        return
    try:
        await asyncio.gather(_copy(reader, outward), _copy(inward, writer))
    finally:
        for each in (outward, writer):
            with contextlib.suppress(OSError):
                each.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except OSError:
        sink.transport.abort()
