"""Requests to one engine. Each takes a connection of its own: on a local socket that costs a tenth of a millisecond,
and a restarted engine then never answers a POST with the reset of a kept-alive connection.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import aiohttp
from aiohttp import ClientTimeout

from riad.dockerclient.address import Address
from riad.dockerclient.errors import EngineAway, fault_of

Body = bytes | AsyncIterable[bytes] | BinaryIO

SHORT = 60.0
"""Seconds that a request without a stream may take."""
CONNECT = 5.0

_NEWEST = (1, 47)
_VERSION = re.compile(r"(\d+)\.(\d+)")


class Transport:
    def __init__(self, address: Address) -> None:
        self.address = address
        self._session: aiohttp.ClientSession | None = None
        self._prefix: str | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def prefix(self) -> str:
        """`/v1.NN`: the newest API version that both sides know, asked for once."""
        if self._prefix is None:
            async with self.answer("GET", "/_ping", versioned=False, timeout=10) as response:
                self._prefix = _negotiated(response.headers.get("Api-Version", ""))
        return self._prefix

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        versioned: bool = True,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The open response of a request that the engine accepted; `timeout` (seconds) covers head and body.

        Raises the engine's refusal as a fault, UNAVAILABLE where there is no engine or it went away meanwhile.
        """
        prefix = await self.prefix() if versioned else ""
        url = f"{self.address.base_url}{prefix}{path}"
        try:
            async with self._open().request(
                method,
                url,
                params=dict(query or {}),
                data=_payload(body) if body is not None else None,
                headers=dict(headers or {}),
                timeout=ClientTimeout(total=timeout, sock_connect=CONNECT),
            ) as response:
                if response.status >= 400:
                    raise fault_of(response.status, await response.read())
                yield response
        except TimeoutError:
            raise self.lost("did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self.lost(str(error) or type(error).__name__) from error

    async def json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        document: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = SHORT,
        versioned: bool = True,
    ) -> Any:
        """One exchange of JSON; None where the answer has no body."""
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if document is not None else {})}
        body = json.dumps(document).encode() if document is not None else None
        async with self.answer(
            method, path, query=query, body=body, headers=sent, timeout=timeout, versioned=versioned
        ) as response:
            text = await response.read()
        return json.loads(text) if text.strip() else None

    def lost(self, why: str) -> EngineAway:
        return EngineAway(f"no container engine at {self.address.text}: {why}")

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


def _negotiated(offered: str) -> str:
    match = _VERSION.fullmatch(offered)
    if match is None:
        return ""
    major, minor = min(_NEWEST, (int(match[1]), int(match[2])))
    return f"/v{major}.{minor}"


def _payload(body: Body) -> bytes | AsyncIterable[bytes]:
    if isinstance(body, bytes):
        return body if len(body) < 65536 else _pieces(body)
    if isinstance(body, AsyncIterable):
        return body
    return _file(body)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    view = memoryview(body)
    for start in range(0, len(view), 262144):
        yield bytes(view[start : start + 262144])


async def _file(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, 262144):
        yield piece
