"""A request's body as a stream: gzip undone on the way, never more than a chunk in memory."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator

from starlette.types import Receive

from riad.kernel.faults import invalid

CHUNK = 64 * 1024
IDLE = 300.0
"""Seconds without a byte after which a client counts as gone."""


class Disconnected(Exception):  # noqa: N818 -- an event, not an error
    """The client is gone."""


class Body:
    """`chunk()` to its end; then `gone()` waits until the client has left."""

    def __init__(self, receive: Receive, *, gzipped: bool) -> None:
        self._receive = receive
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS) if gzipped else None
        self._parts: Iterator[bytes] = iter(())
        self.complete = False

    async def chunk(self) -> bytes | None:
        """The next bytes; None at the end.

        Raises Disconnected, and INVALID for a body that is not gzip though it says so.
        """
        while (part := next(self._parts, None)) is None:
            if self.complete:
                return None
            self._parts = self._decoded(await self._next())
        return part

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(IDLE):
                message = await self._receive()
        except TimeoutError:
            raise Disconnected from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        self.complete = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            if data:
                yield data
            return
        try:
            while data:
                part = self._inflate.decompress(data, CHUNK)
                data = self._inflate.unconsumed_tail
                if part:
                    yield part
                elif not data:
                    return
        except zlib.error:
            raise invalid("the request's body is not gzip, though its header says so") from None

    async def drain(self) -> None:
        """Reads and forgets what is left, so that the client comes to reading the answer."""
        self._parts = iter(())
        while not self.complete:
            await self._next()

    async def gone(self) -> None:
        """Returns when the client has left; for after the body's end."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
