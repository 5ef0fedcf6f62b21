"""Questions that are not about containers go to the host's resolvers and their answers come back, by UDP and TCP."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from typing import cast

import pytest

from riad.engine.networks.dns import forward, message

QUESTION = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\7example\3org\0\0\1\0\1"


class Upstream(asyncio.DatagramProtocol):
    """A resolver that answers everything with one address, or nothing; first with a forged id if told so."""

    def __init__(self) -> None:
        self.port = 0
        self.silent = False
        self.forge = False

    def response(self, data: bytes) -> bytes:
        query = message.parse_query(data)
        return message.addresses(query, [IPv4Address("9.9.9.9")])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.forge:
            self.transport.sendto(message.with_id(self.response(data), 0xBAD ^ int.from_bytes(data[:2], "big")), addr)
        if not self.silent:
            self.transport.sendto(self.response(data), addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        answer = self.response(data)
        writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    server = await asyncio.start_server(made.serve, "127.0.0.2", 0)
    made.port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: made, local_addr=("127.0.0.2", made.port)
    )
    yield made
    transport.close()
    server.close()


@pytest.mark.parametrize("ask", [forward.by_udp, forward.by_tcp])
async def test_the_next_resolver_is_asked_where_one_refuses(upstream: Upstream, ask: object) -> None:
    query = message.parse_query(QUESTION)
    # nobody listens on 127.0.0.3: it refuses at once
    answer = await ask(query, QUESTION, ("127.0.0.3", "127.0.0.2"), port=upstream.port)  # type: ignore[operator]
    assert answer is not None
    assert answer[:2] == QUESTION[:2]
    assert answer.endswith(bytes([9, 9, 9, 9]))


async def test_a_forged_answer_is_passed_over(upstream: Upstream) -> None:
    upstream.forge = True
    answer = await forward.by_udp(message.parse_query(QUESTION), QUESTION, ("127.0.0.2",), port=upstream.port)
    assert answer is not None
    assert answer[:2] == QUESTION[:2]


async def test_a_silent_resolver_ends_in_no_answer(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "_PATIENCE", 0.05)
    upstream.silent = True
    assert await forward.by_udp(message.parse_query(QUESTION), QUESTION, ("127.0.0.2",), port=upstream.port) is None
