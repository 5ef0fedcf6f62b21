"""Passing a request on to the engine and its answer back, bytes as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import ClientTimeout, web
from yarl import URL

from riad.dockerclient.address import parse
from riad.dockerclient.hijack import Hijacked, hijacked
from riad.dockerclient.scoped.takeover import Taken, take_over
from riad.dockerclient.transport import CONNECT, Transport
from riad.kernel.faults import Fault, Kind, unavailable

Query = Sequence[tuple[str, str]]

_SENT_ON = ("Content-Type", "X-Registry-Auth", "X-Registry-Config", "User-Agent")
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "trailer", "te", "date")
)


class Relay:
    def __init__(self, docker_host: str) -> None:
        self.address = parse(docker_host)
        self._transport = Transport(self.address)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        await self._transport.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def stream(
        self,
        request: web.Request,
        path: str,
        query: Query = (),
        *,
        body: bytes | AsyncIterable[bytes] | None = None,
        method: str | None = None,
    ) -> web.StreamResponse:
        """Sends `method` `path` (encoded) with `body`; gives the engine's answer to the client as it comes."""
        try:
            async with self._ask(request, method or request.method, path, query, body) as answer:
                headers = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP}
                response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
                if request.method == "HEAD" and answer.content_length is not None:
                    response.content_length = answer.content_length
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise self._lost(error) from error

    async def whole(self, request: web.Request, path: str, query: Query = ()) -> tuple[int, Any]:
        """Status and JSON body of a GET, for answers that are looked at before they are given on."""
        try:
            async with self._ask(request, "GET", path, query, None) as answer:
                text = await answer.read()
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise self._lost(error) from error
        try:
            return answer.status, json.loads(text)
        except ValueError:
            raise Fault(Kind.INTERNAL, f"riad: the engine answered no JSON to GET {path}") from None

    async def upgrade(
        self, request: web.Request, path: str, query: Query = (), *, version: str, document: object = None
    ) -> web.StreamResponse:
        """Joins the client's connection with a raw stream of the engine, with half-close both ways.

        The engine must have given its connection up (101): as long as it still reads HTTP from it, raw bytes of the
        client would be requests that nobody has looked at.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        async with hijacked(self._transport, target, document=document, prefix=version) as stream:
            if stream.status != 101:
                raise Fault(Kind.INTERNAL, "riad: the engine does not upgrade connections; its API is too old")
            asked = request.headers.get("Upgrade", "").lower() == "tcp"
            reader, writer = take_over(request)
            writer.write(_head(stream.content_type, upgraded=asked))
            await _join(stream, reader, writer)
        return Taken()

    def _ask(
        self,
        request: web.Request,
        method: str,
        path: str,
        query: Query,
        body: bytes | AsyncIterable[bytes] | None,
    ) -> Any:
        headers = {name: request.headers[name] for name in _SENT_ON if name in request.headers}
        headers["Accept-Encoding"] = "identity"
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        url = URL(f"{self.address.base_url}{path}" + (f"?{urlencode(query)}" if query else ""), encoded=True)
        return self._open().request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=ClientTimeout(total=None, sock_connect=CONNECT),
            allow_redirects=False,
        )

    def _lost(self, error: Exception) -> Fault:
        return unavailable(f"riad: the container engine is away ({error}); try again")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            path = self.address.socket
            connector: aiohttp.BaseConnector = (
                aiohttp.UnixConnector(path, force_close=True, limit=0)
                if path is not None
                else aiohttp.TCPConnector(force_close=True, limit=0)
            )
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self._session


def answered(value: Any, *, status: int = 200) -> web.Response:
    """Docker's clients take an answer for JSON only where nothing follows the type."""
    headers = {"Content-Type": "application/json"}
    return web.Response(body=json.dumps(value).encode(), status=status, headers=headers)


def path_of(version: str, shape: str, name: str = "") -> str:
    """An encoded path: `name` is one piece of it, whatever signs it has (image names keep their slashes)."""
    return version + shape.replace("{}", quote(name, safe="/:@"))


def chosen(given: Mapping[str, str], names: frozenset[str]) -> list[tuple[str, str]]:
    """The parameters of these names, each once: the first, which is the one that was looked at."""
    return [(key, given[key]) for key in dict.fromkeys(given) if key in names]


def _head(content_type: str, *, upgraded: bool) -> bytes:
    kind = content_type or "application/vnd.docker.raw-stream"
    if not upgraded:
        return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode()
    return f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()


async def _join(stream: Hijacked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the engine's side ends; the client's end of file only means that there is no more input."""

    async def inwards() -> None:
        while data := await reader.read(65536):
            await stream.write(data)
        stream.write_eof()

    typing = asyncio.create_task(inwards())
    try:
        while data := await stream.read():
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # the client has gone
    finally:
        typing.cancel()
        await asyncio.wait([typing])
        if not typing.cancelled():
            typing.exception()
        writer.close()
