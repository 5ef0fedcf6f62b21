"""Takes an upgraded connection away from aiohttp's server, as a plain stream with half-close.

aiohttp's own protocol closes the transport when the client has no more to send; to docker that only means "no more
stdin" (see `riad.dockerclient.hijack`). So the transport gets a stream protocol; aiohttp is told when it is lost.
"""

from __future__ import annotations

import asyncio

from aiohttp import web


class Taken(web.StreamResponse):
    """What the handler returns to aiohttp afterwards: everything has been written already."""

    async def prepare(self, request: web.BaseRequest) -> None:
        self.force_close()

    async def write_eof(self, data: bytes = b"") -> None:
        return


class _Protocol(asyncio.StreamReaderProtocol):
    def __init__(self, reader: asyncio.StreamReader, former: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._former = former

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._former.connection_lost(exc)


def take_over(request: web.Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Call it once the request's body has been read; bytes that came after it are the first to be read."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=262144, loop=loop)
    former = request.protocol
    protocol = _Protocol(reader, former)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if early := getattr(former, "_message_tail", b""):
        reader.feed_data(early)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
