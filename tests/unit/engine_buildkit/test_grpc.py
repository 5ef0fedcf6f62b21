"""Calls over HTTP/2 between two ends of one socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from buildkit_client import SocketWire
from riad.engine.buildkit.grpc import Call, CallFailed, Client, Code, Service, method, serving
from riad.engine.buildkit.http2 import Connection, Gone
from riad.engine.buildkit.messages.control import BytesMessage
from riad.engine.buildkit.protobuf import decode, encode
from riad.kernel.faults import invalid


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[Client]:
    one, other = socket.socketpair()
    there = Connection(await SocketWire.over(one), serving(service))
    here = Connection(await SocketWire.over(other))
    tasks = [asyncio.ensure_future(there.run()), asyncio.ensure_future(here.run())]
    try:
        yield Client(here)
    finally:
        await here.close()
        await asyncio.gather(*tasks)


async def _echo(request: BytesMessage, _: Call) -> BytesMessage:
    return request


async def test_a_call_is_answered() -> None:
    async with connected({"/s/Echo": method(BytesMessage, _echo)}) as client:
        assert (await client.call("/s/Echo", BytesMessage(b"x"), BytesMessage)).data == b"x"


async def test_messages_larger_than_every_window_pass_both_ways() -> None:
    large = bytes(range(256)) * 2**16
    async with connected({"/s/Echo": method(BytesMessage, _echo)}) as client:
        assert (await client.call("/s/Echo", BytesMessage(large), BytesMessage)).data == large


async def test_a_fault_is_a_status_with_its_message_whatever_its_letters() -> None:
    async def fail(_: BytesMessage, __: Call) -> BytesMessage:
        raise invalid("zu früh: 100 % of it\nis wrong")

    async with connected({"/s/Fail": method(BytesMessage, fail)}) as client:
        with pytest.raises(CallFailed) as caught:
            await client.call("/s/Fail", BytesMessage(), BytesMessage)
    assert caught.value.message == "zu früh: 100 % of it\nis wrong"


async def test_an_unknown_method_is_unimplemented() -> None:
    async with connected({}) as client:
        with pytest.raises(CallFailed) as caught:
            await client.call("/s/None", BytesMessage(), BytesMessage)
    assert caught.value.code == Code.UNIMPLEMENTED


async def test_streams_carry_many_messages_in_order() -> None:
    async def count(call: Call) -> None:
        while (message := await call.stream.receive()) is not None:
            await call.stream.send(message, message)

    async with connected({"/s/Twice": count}) as client:
        stream = await client.start("/s/Twice")
        sent = [encode(BytesMessage(str(number).encode())) for number in range(1000)]
        await stream.send(*sent)
        await stream.finish()
        got: list[bytes] = []
        while some := await stream.receive_some():
            got += some
        await client.result(stream)
    assert [decode(BytesMessage, message).data for message in got[::2]] == [str(n).encode() for n in range(1000)]


async def test_a_call_given_up_is_cancelled_where_it_is_served() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(_: BytesMessage, __: Call) -> BytesMessage:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with connected({"/s/Wait": method(BytesMessage, wait)}) as client:
        stream = await client.start("/s/Wait")
        await stream.send(b"")
        await begun.wait()
        await client.abandon(stream)
        await asyncio.wait_for(ended.wait(), 10)


async def test_everything_waiting_ends_with_the_connection() -> None:
    begun = asyncio.Event()

    async def wait(_: BytesMessage, __: Call) -> BytesMessage:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    one, other = socket.socketpair()
    there = Connection(await SocketWire.over(one), serving({"/s/Wait": method(BytesMessage, wait)}))
    here = Connection(await SocketWire.over(other))
    tasks = [asyncio.ensure_future(there.run()), asyncio.ensure_future(here.run())]
    call = asyncio.ensure_future(Client(here).call("/s/Wait", BytesMessage(), BytesMessage))
    await begun.wait()
    await there.close()
    with pytest.raises(Gone):
        await call
    await asyncio.gather(*tasks)
