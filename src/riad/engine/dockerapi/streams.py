"""Long answers: raw connections taken over from HTTP (attach, exec), multiplexed frames, chunked bodies, JSON lines.

A hijacked connection leaves HTTP for good: the client asked with `Upgrade: tcp` (answer 101) or without (answer 200,
for old clients), and raw bytes follow both ways. Rules kept here, each of which breaks a client when broken:

- End of input from the client is not a disconnect: `docker run` without -i half-closes at once and wants the output.
- Bytes that arrived together with the request head belong to the stream and are replayed.
- Without a TTY, output is framed: [stream, 0, 0, 0, length as 4 bytes big-endian] and the payload; with one it is raw.
- The connection is closed only when all output has been written.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from riad.engine.dockerapi.wire import STARTED, dumps, version_of

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(data)) + data


def stream_type(request: web.Request, *, tty: bool) -> str:
    """The content type of a stream: clients of 1.42 and later are told whether it is framed."""
    return MULTIPLEXED if not tty and version_of(request) >= (1, 42) else RAW


class Hijacked(web.StreamResponse):
    """What a handler returns after a hijack: everything has been said already."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _Takeover(asyncio.StreamReaderProtocol):
    """Hands the loss of the connection on to the HTTP protocol that had it before, so that the server forgets it."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol, lost: Callable[[], object]) -> None:
        super().__init__(reader)
        self._before = before
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)
        self._lost()


class RawStream:
    """A hijacked connection. `gone` is set when the client has closed it altogether (not by a half-close)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event) -> None:
        self._reader = reader
        self._writer = writer
        self.gone = gone

    async def read(self, limit: int = 65536) -> bytes:
        """What the client sent; b"" when it will send nothing more."""
        try:
            return await self._reader.read(limit)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError when the client has gone."""
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        """Sends what is buffered, then ends the connection."""
        if self._writer.can_write_eof() and not self._writer.is_closing():
            try:
                await self._writer.drain()
                self._writer.write_eof()
            except (ConnectionError, OSError):
                pass
        self._writer.close()


async def hijack(request: web.Request, *, content_type: str = RAW, protocol: str = "tcp") -> RawStream:
    """Takes the connection over from HTTP. Validate everything before: later errors can only be written as bytes.

    Read the request's body before calling. The handler owns the stream until it returns `Hijacked()`.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    before: Any = request.protocol
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**18, loop=loop)
    gone = asyncio.Event()
    takeover = _Takeover(reader, before, gone.set)
    transport.set_protocol(takeover)
    takeover.connection_made(transport)
    early = before._message_tail  # aiohttp keeps what follows the head of an upgrade request for a WebSocket parser
    if early:
        before._message_tail = b""
        reader.feed_data(bytes(early))
    transport.resume_reading()  # aiohttp pauses a connection whose upgrade nobody has taken up yet
    writer = asyncio.StreamWriter(transport, takeover, reader, loop)
    writer.write(_opening(request, content_type, protocol))
    await writer.drain()
    return RawStream(reader, writer, gone)


def _opening(request: web.Request, content_type: str, protocol: str) -> bytes:
    upgraded = "upgrade" in request.headers
    lines = ["HTTP/1.1 101 UPGRADED" if upgraded else "HTTP/1.1 200 OK", f"Content-Type: {content_type}"]
    if upgraded:
        lines += ["Connection: Upgrade", f"Upgrade: {protocol}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class JsonLines:
    """A chunked body of JSON objects, one per line, each sent as it happens. Use with `async with`.

    Headers go out on entering, so that a waiting client knows it has been heard.
    """

    def __init__(self, request: web.Request, *, status: int = 200, newline: str = "\r\n") -> None:
        self._request = request
        self._newline = newline
        self.response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})

    async def __aenter__(self) -> JsonLines:
        await self.open()
        return self

    async def open(self) -> None:
        if not self._request.get(STARTED):
            self._request[STARTED] = True
            self.response.enable_chunked_encoding()
            await self.response.prepare(self._request)

    @property
    def opened(self) -> bool:
        return bool(self._request.get(STARTED))

    async def send(self, value: object) -> None:
        """Raises ConnectionError when the client has gone."""
        await self.open()
        await self.response.write((dumps(value) + self._newline).encode())

    async def __aexit__(self, *_: object) -> None:
        if self.opened and self._request.transport is not None:
            await self.response.write_eof()


async def chunked(request: web.Request, *, content_type: str) -> web.StreamResponse:
    """A chunked response whose headers have gone out already; write to it and `write_eof()`."""
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.enable_chunked_encoding()
    request[STARTED] = True
    await response.prepare(request)
    return response
