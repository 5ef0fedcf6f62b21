"""A name server at one bridge's gateway or inside one container, by UDP and TCP.

It lives in the daemon and is bound again at its start.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path

from riad.engine.host import netns
from riad.kernel import logs

_log = logs.named("engine.dns")

PORT = 53
_AT_ONCE = 256
"""Queries of one bridge that may wait for an answer; more are dropped, and clients ask again."""
_IDLE = 30.0

Answer = Callable[[bytes, IPv4Address, bool], Awaitable[bytes | None]]
"""From a query's bytes, the asker's address and whether it came by TCP to the response, or None for silence."""


class NameServer:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, address: IPv4Address) -> None:
        """Binds port 53, or a free one where another program has it (see `port`). Raises OSError."""
        try:
            await self._bind(address, PORT)
        except OSError:
            await self.stop()
            await self._bind(address, 0)
            _log.info("port 53 is taken, queries are redirected", extra=logs.fields(address=address, port=self.port))

    async def start_inside(self, namespace: Path, address: IPv4Address) -> None:
        """Binds port 53 in a container's network; raises OSError where something there has it, or it is gone."""

        def bound() -> tuple[socket.socket, socket.socket]:
            by_udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            by_tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            by_tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for each in (by_udp, by_tcp):
                each.setblocking(False)
                each.bind((str(address), PORT))
            return by_udp, by_tcp

        by_udp, by_tcp = await asyncio.to_thread(netns.inside, namespace, bound)
        self.port = PORT
        self._server = await asyncio.start_server(self._serve_connection, sock=by_tcp)
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(self._receive), sock=by_udp
        )

    async def stop(self) -> None:
        """Twice is no error."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _bind(self, address: IPv4Address, port: int) -> None:
        self._server = await asyncio.start_server(self._serve_connection, str(address), port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(self._receive), local_addr=(str(address), self.port)
        )

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        if len(self._tasks) < _AT_ONCE:
            task = asyncio.ensure_future(self._reply(data, source))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, source: tuple[str, int]) -> None:
        response = await self._answer(data, IPv4Address(source[0]), False)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, source)

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= _AT_ONCE:
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, is idle, or we are stopping
        finally:
            self._tasks.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = IPv4Address(writer.get_extra_info("peername")[0])
        while True:
            async with asyncio.timeout(_IDLE):
                size = int.from_bytes(await reader.readexactly(2), "big")
                data = await reader.readexactly(size)
            response = await self._answer(data, source, True)
            if response is None:
                return
            writer.write(len(response).to_bytes(2, "big") + response)
            await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, addr)
