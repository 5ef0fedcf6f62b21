"""Attach and exec turn the HTTP connection into a raw byte stream (`Upgrade: tcp`, answered 101, by old engines 200).

aiohttp cannot hand out such a connection with its half-close, so the request is written by hand on a fresh one.
The client's end of file means "no more stdin"; the engine's means that all output has been sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from riad.dockerclient.errors import fault_of
from riad.dockerclient.frames import Demultiplexer, LogChunk
from riad.dockerclient.transport import CONNECT, SHORT, Transport
from riad.kernel.faults import Fault, Kind

_PIECE = 65536


class Hijacked:
    """A raw stream in both directions; `framed` says whether what is read is made of frames."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, framed: bool, status: int, kind: str
    ) -> None:
        self.status = status
        self.content_type = kind
        self._reader = reader
        self._writer = writer
        self._framed = framed

    async def chunks(self) -> AsyncIterator[LogChunk]:
        """Everything the process writes, until it closes its output."""
        demultiplexer = Demultiplexer(framed=self._framed)
        while data := await self.read():
            for chunk in demultiplexer.feed(data):
                yield chunk

    async def read(self) -> bytes:
        """Some raw bytes, frames and all; none at the end."""
        return await self._reader.read(_PIECE)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def write_eof(self) -> None:
        """Closes the process's stdin; its output can still be read."""
        self._writer.write_eof()


@asynccontextmanager
async def hijacked(
    transport: Transport, path: str, *, document: object = None, tty: bool = False, prefix: str | None = None
) -> AsyncIterator[Hijacked]:
    """POSTs `document` and takes the connection over. Raises the engine's refusal, UNAVAILABLE without an engine.

    `prefix` is the API version's part of the path, by default the newest that both sides know.
    """
    target = (await transport.prefix() if prefix is None else prefix) + path
    try:
        async with asyncio.timeout(CONNECT):
            reader, writer = await _connect(transport)
    except (OSError, TimeoutError) as error:
        raise transport.lost(str(error) or "did not accept a connection") from error
    try:
        writer.write(_request(transport.address.host, target, document))
        try:
            async with asyncio.timeout(SHORT):
                await writer.drain()
                status, kind = await _accept(reader)
        except (OSError, EOFError, TimeoutError) as error:
            raise transport.lost(str(error) or "closed the connection") from error
        yield Hijacked(reader, writer, framed=not tty, status=status, kind=kind)
    except ConnectionError as error:
        raise transport.lost(str(error)) from error
    finally:
        writer.close()


async def _connect(transport: Transport) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = transport.address
    if address.socket is not None:
        return await asyncio.open_unix_connection(address.socket)
    return await asyncio.open_connection(address.host, address.port)


def _request(host: str, target: str, document: object) -> bytes:
    body = b"" if document is None else json.dumps(document).encode()
    return (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _accept(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Reads the response head; returns status and content type once the stream is ours."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    try:
        status = int(head[0].split(" ", 2)[1])
    except (IndexError, ValueError):
        raise Fault(Kind.INTERNAL, f"the container engine does not speak HTTP: {head[0][:100]!r}") from None
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if status in (101, 200):
        return status, fields.get("content-type", "")
    raise fault_of(status, await _error_body(reader, fields))


async def _error_body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if fields.get("transfer-encoding", "").lower() == "chunked":
        size = int((await reader.readline()).split(b";")[0] or b"0", 16)
        return await reader.readexactly(min(size, _PIECE))
    return await reader.readexactly(min(int(fields.get("content-length") or 0), _PIECE))
