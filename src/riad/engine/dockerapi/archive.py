"""/containers/ID/archive: what `docker cp` speaks (HEAD, GET, PUT), both ways as streams.

Only one piece of a tar is in memory at a time. Small uploads are read whole first, which saves a thread's waiting on
the event loop for every piece.
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from aiohttp import StreamReader, web

from riad.engine.containers.archive.copy import Copier
from riad.engine.containers.archive.look import Seen
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.wire import STARTED, dumps, flag
from riad.kernel.faults import Fault, Kind, invalid

_READ_AT_ONCE = 1 << 20
_STALLED = 120.0
"""Seconds without a byte after which an upload is given up: it keeps the container from starting."""
_STAT_HEADER = "X-Docker-Container-Path-Stat"


def routes(*, copier: Copier) -> list[web.RouteDef]:
    async def head(request: web.Request) -> web.StreamResponse:
        seen = await copier.look(request.match_info["name"], _path(request))
        return web.Response(headers={_STAT_HEADER: stat_header(seen)})

    @cancellable
    async def get(request: web.Request) -> web.StreamResponse:
        async with copier.reading(request.match_info["name"], _path(request)) as (seen, pieces):
            response = web.StreamResponse(
                headers={_STAT_HEADER: stat_header(seen), "Content-Type": "application/x-tar"}
            )
            first = await asyncio.to_thread(_next, pieces)
            await response.prepare(request)
            request[STARTED] = True
            piece = first
            while piece is not None:
                await response.write(piece)
                piece = await asyncio.to_thread(_next, pieces)
            await response.write_eof()
            return response

    async def put(request: web.Request) -> web.StreamResponse:
        path = _path(request)
        flag(request.query, "copyUIDGID")  # owners are always the archive's own, with it and without
        beginning = await _beginning(request)
        rest = None if request.content.at_eof() else request.content
        upload = io.BufferedReader(_Upload(beginning, rest, asyncio.get_running_loop()), 1 << 18)
        await copier.write(
            request.match_info["name"], path, upload, keep_kinds=flag(request.query, "noOverwriteDirNonDir")
        )
        return web.Response(status=200)

    return [
        web.head("/containers/{name}/archive", head),
        web.get("/containers/{name}/archive", get, allow_head=False),
        web.put("/containers/{name}/archive", put),
    ]


def stat_header(seen: Seen) -> str:
    at = datetime.fromtimestamp(seen.mtime_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{seen.mtime_ns % 10**9:09d}".rstrip("0").rstrip(".")
    shape = {
        "name": seen.name,
        "size": seen.size,
        "mode": seen.mode,
        "mtime": f"{at}{fraction}Z",
        "linkTarget": seen.link_target,
    }
    return base64.b64encode(dumps(shape).encode("utf-8", "replace")).decode()


class _Upload(io.RawIOBase):
    """The body of a request as a file for a thread."""

    def __init__(self, beginning: bytes, rest: StreamReader | None, loop: asyncio.AbstractEventLoop) -> None:
        self._waiting = memoryview(beginning)
        self._rest = rest
        self._loop = loop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._waiting and self._rest is not None:
            self._waiting = memoryview(self._more())
        size = min(len(buffer), len(self._waiting))
        buffer[:size] = self._waiting[:size]
        self._waiting = self._waiting[size:]
        return size

    def _more(self) -> bytes:
        if self._rest is None:
            return b""
        coming = asyncio.run_coroutine_threadsafe(self._rest.readany(), self._loop)
        try:
            return coming.result(_STALLED)
        except concurrent.futures.TimeoutError:
            coming.cancel()
            raise Fault(Kind.UNAVAILABLE, f"the upload stood still for {_STALLED:g} s and was given up") from None


async def _beginning(request: web.Request) -> bytes:
    parts = []
    size = 0
    while size < _READ_AT_ONCE and not request.content.at_eof():
        part = await request.content.readany()
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _path(request: web.Request) -> str:
    path = request.query.get("path", "")
    if not path:
        raise invalid("bad parameter: path cannot be empty")
    return path


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
