"""Asking the host's resolvers what no container's name is: by UDP or TCP, as the container asked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from riad.engine.networks.dns import message
from riad.engine.networks.dns.message import Query

PORT = 53
_PATIENCE = 4.5
"""Seconds for all resolvers together: a client's own patience is 5, and it should hear that we have no answer."""


def _each(servers: Sequence[str]) -> float:
    return _PATIENCE / max(1, len(servers))


async def by_udp(query: Query, data: bytes, servers: Sequence[str], *, port: int = PORT) -> bytes | None:
    """The first resolver's response, None where none has one. Id and port are fresh, so that nobody can guess them."""
    for server in servers:
        number = secrets.randbits(16)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes] = loop.create_future()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda answered=answered, number=number: _Asking(query, number, answered),  # type: ignore[misc]
                remote_addr=(server, port),
            )
        except OSError:
            continue
        try:
            transport.sendto(message.with_id(data, number))
            async with asyncio.timeout(_each(servers)):
                return message.with_id(await answered, query.id)
        except (TimeoutError, OSError):
            continue
        finally:
            transport.close()
    return None


async def by_tcp(query: Query, data: bytes, servers: Sequence[str], *, port: int = PORT) -> bytes | None:
    for server in servers:
        try:
            async with asyncio.timeout(_each(servers)):
                return await _ask_by_tcp(query, data, server, port)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            continue
    return None


async def _ask_by_tcp(query: Query, data: bytes, server: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(server, port)
    try:
        writer.write(len(data).to_bytes(2, "big") + data)
        await writer.drain()
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()
    if not message.answers_to(query, query.id, answer):
        raise OSError(f"{server} answered something else")
    return answer


class _Asking(asyncio.DatagramProtocol):
    def __init__(self, query: Query, number: int, answered: asyncio.Future[bytes]) -> None:
        self._query = query
        self._number = number
        self._answered = answered

    def datagram_received(self, data: bytes, _: object) -> None:
        if not self._answered.done() and message.answers_to(self._query, self._number, data):
            self._answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)
