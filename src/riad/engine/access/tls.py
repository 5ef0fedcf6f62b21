"""TLS in front of the engine's own HTTP: each client's connection is decrypted here and handed on as a local socket.

asyncio's TLS transport knows no half-close: it ends a connection once the client has said that it sends no more, and
`docker run -i` over it loses the container's output. TLS itself does know it (RFC 8446, 6.1: each side closes its own
direction by `close_notify`). So the records are read and written here, over an `SSLObject` in memory, and the client's
`close_notify` becomes the half-close of a socket pair whose other end is served like a unix socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable

from riad.engine.access.addresses import TcpAddress, TlsFiles
from riad.kernel import logs
from riad.kernel.faults import conflict, invalid

Serve = Callable[[socket.socket], Awaitable[object]]
"""Takes a connected local socket over, as if a client had connected there."""

HANDSHAKE = 10.0
"""Seconds that a client has for the handshake."""
_PIECE = 65536
_log = logs.named("engine.access")


def context(files: TlsFiles) -> ssl.SSLContext:
    """A server's context that lets in holders of a certificate of `files.authority` only. Raises INVALID by flag."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.verify_mode = ssl.CERT_REQUIRED
    try:
        made.load_verify_locations(files.authority)
    except OSError as error:
        raise invalid(f"--tlscacert {files.authority}: {error.strerror or error}") from None
    try:
        made.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        raise invalid(f"--tlscert {files.certificate}, --tlskey {files.key}: {error.strerror or error}") from None
    return made


class Front:
    """One TCP address. `serve` gets a local socket for each client whose certificate is good."""

    def __init__(self, address: TcpAddress, tls: ssl.SSLContext, serve: Serve) -> None:
        self._address = address
        self._tls = tls
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises CONFLICT where the address cannot be had."""
        try:
            self._server = await asyncio.start_server(self._accept, self._address.host, self._address.port)
        except OSError as error:
            where = f"tcp://{self._address.host}:{self._address.port}"
            raise conflict(f"--host {where}: {error.strerror or error}; choose another --host") from None

    @property
    def port(self) -> int:
        """The one that the kernel chose where port 0 was asked for."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._client(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        records = _Records(self._tls, reader, writer)
        try:
            async with asyncio.timeout(HANDSHAKE):
                await records.handshake()
            await self._join(records)
        except (ssl.SSLError, OSError, TimeoutError) as error:
            peer = writer.get_extra_info("peername")
            _log.info("client refused or lost", extra=logs.fields(peer=str(peer), reason=str(error)))
            with contextlib.suppress(OSError, ssl.SSLError):
                await records.flush()  # the alert that tells the client why
        finally:
            writer.close()

    async def _join(self, records: _Records) -> None:
        here, there = socket.socketpair()
        here.setblocking(False)
        there.setblocking(False)
        await self._serve(there)
        reader, writer = await asyncio.open_unix_connection(sock=here)
        incoming = asyncio.ensure_future(_inwards(records, writer))
        try:
            while data := await reader.read(_PIECE):
                await records.write(data)
            await records.end()
        finally:
            incoming.cancel()
            await asyncio.gather(incoming, return_exceptions=True)
            writer.close()


async def _inwards(records: _Records, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await records.read():
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (ssl.SSLError, OSError):  # the client has gone without a word: so does the local end
        writer.transport.abort()


class _Records:
    """The two directions of one TLS connection."""

    def __init__(self, tls: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._reader = reader
        self._writer = writer

    async def handshake(self) -> None:
        """Raises SSLError for a client without a good certificate."""
        while True:
            try:
                self._object.do_handshake()
                return await self.flush()
            except ssl.SSLWantReadError:
                await self._more()

    async def read(self) -> bytes:
        """Some bytes; none after the client's close_notify. Raises SSLError where the connection just ended."""
        while True:
            try:
                return self._object.read(_PIECE)
            except ssl.SSLWantReadError:
                await self._more()
            except ssl.SSLZeroReturnError:
                return b""

    async def write(self, data: bytes) -> None:
        self._object.write(data)
        await self.flush()

    async def end(self) -> None:
        """Says that nothing more will be written."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        await self.flush()

    async def flush(self) -> None:
        if self._outgoing.pending:
            self._writer.write(self._outgoing.read())
            await self._writer.drain()

    async def _more(self) -> None:
        await self.flush()
        data = await self._reader.read(_PIECE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
