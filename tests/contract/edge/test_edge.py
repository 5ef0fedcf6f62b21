"""The contract of `riad.deploy.edge.port.Edge`, kept by the fake and by HAProxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from fakes.edge import FakeEdge
from fakes.haproxy import HAPROXY, RunningEdge, running_edge, service
from riad.deploy.edge.port import Edge, Route, Upstream
from riad.kernel.faults import Fault, Kind

SHOP = Route("shop.localhost", 3)
BLOG = Route("blog.localhost", 128)


@dataclass
class Harness:
    edge: Edge
    answers: Callable[[str], Awaitable[str | None]]
    """The name of the upstream that a request for a host reaches."""
    upstream: Callable[[str], Awaitable[Upstream]]
    hold: Callable[[Route, str], Awaitable[Callable[[], Awaitable[bool]]]]
    """Opens a lasting connection to the one that serves; what it returns tells whether it still lives."""


async def fake_harness() -> Harness:
    edge = FakeEdge()
    names: list[str] = []

    async def answers(host: str) -> str | None:
        found = edge.answers(host)
        return names[found.port - 5000] if found else None

    async def upstream(name: str) -> Upstream:
        names.append(name)
        return Upstream(name, "127.0.0.1", 4999 + len(names))

    async def hold(route: Route, name: str) -> Callable[[], Awaitable[bool]]:
        edge.open_connections[(route.host, name)] = 1

        async def alive() -> bool:
            return (route.host, name) in edge.open_connections

        return alive

    return Harness(edge, answers, upstream, hold)


async def haproxy_harness(running: RunningEdge, stack: AsyncExitStack) -> Harness:
    session = await stack.enter_async_context(aiohttp.ClientSession())

    async def answers(host: str) -> str | None:
        status, text = await running.get(host)
        return text if status == 200 else None

    async def upstream(name: str) -> Upstream:
        return await stack.enter_async_context(service(name))

    async def hold(route: Route, name: str) -> Callable[[], Awaitable[bool]]:
        socket = await stack.enter_async_context(
            session.ws_connect(running.url("/ws"), headers={"Host": route.host}, max_msg_size=0)
        )

        async def alive() -> bool:
            if socket.closed:
                return False
            try:
                await socket.send_str("x")
                message = await socket.receive(timeout=5)
            except (TimeoutError, ConnectionError):
                return False
            return message.type is aiohttp.WSMsgType.TEXT and message.data == f"{name} x"

        return alive

    return Harness(running.edge, answers, upstream, hold)


@pytest.fixture(
    params=["fake", pytest.param("haproxy", marks=pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed"))]
)
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    async with AsyncExitStack() as stack:
        if request.param == "fake":
            yield await fake_harness()
        else:
            running = await stack.enter_async_context(running_edge(tmp_path))
            yield await haproxy_harness(running, stack)


async def test_nothing_answers_before_something_serves(harness: Harness) -> None:
    assert await harness.answers("shop.localhost") is None


async def test_the_one_that_serves_answers_and_its_predecessor_does_not(harness: Harness) -> None:
    await harness.edge.serve(SHOP, await harness.upstream("r1"))
    assert await harness.answers("shop.localhost") == "r1"
    await harness.edge.serve(SHOP, await harness.upstream("r2"))
    assert {await harness.answers("shop.localhost") for _ in range(8)} == {"r2"}


async def test_serving_may_be_repeated(harness: Harness) -> None:
    upstream = await harness.upstream("r1")
    await harness.edge.serve(SHOP, upstream)
    await harness.edge.serve(SHOP, upstream)
    assert await harness.answers("shop.localhost") == "r1"


async def test_one_that_drained_can_serve_again(harness: Harness) -> None:
    first = await harness.upstream("r1")
    await harness.edge.serve(SHOP, first)
    await harness.edge.serve(SHOP, await harness.upstream("r2"))
    await harness.edge.serve(SHOP, first)
    assert {await harness.answers("shop.localhost") for _ in range(4)} == {"r1"}


async def test_routes_do_not_touch_each_other(harness: Harness) -> None:
    await harness.edge.serve(SHOP, await harness.upstream("r1"))
    await harness.edge.serve(BLOG, await harness.upstream("r9"))
    await harness.edge.close(SHOP)
    assert await harness.answers("shop.localhost") is None
    assert await harness.answers("blog.localhost") == "r9"


async def test_an_upstream_moves_to_a_new_address(harness: Harness) -> None:
    await harness.edge.serve(SHOP, await harness.upstream("r1"))
    elsewhere = await harness.upstream("r1-restarted")
    await harness.edge.serve(SHOP, Upstream("r1", elsewhere.host, elsewhere.port))
    assert {await harness.answers("shop.localhost") for _ in range(4)} == {"r1-restarted"}


async def test_a_lasting_connection_outlives_the_switch_and_is_counted_until_it_is_cut(harness: Harness) -> None:
    await harness.edge.serve(SHOP, await harness.upstream("r1"))
    alive = await harness.hold(SHOP, "r1")
    await harness.edge.serve(SHOP, await harness.upstream("r2"))
    assert await alive()
    assert await harness.edge.connections(SHOP, "r1") == 1
    assert await harness.edge.connections(SHOP, "r2") == 0
    await harness.edge.remove(SHOP, "r1")
    assert not await alive()
    assert await harness.edge.connections(SHOP, "r1") == 0
    assert await harness.answers("shop.localhost") == "r2"


async def test_the_one_that_serves_is_not_removed(harness: Harness) -> None:
    await harness.edge.serve(SHOP, await harness.upstream("r1"))
    with pytest.raises(Fault) as caught:
        await harness.edge.remove(SHOP, "r1")
    assert caught.value.kind is Kind.CONFLICT
    assert await harness.answers("shop.localhost") == "r1"


async def test_removing_and_closing_may_be_repeated(harness: Harness) -> None:
    await harness.edge.remove(SHOP, "r7")
    await harness.edge.close(SHOP)
    await harness.edge.serve(SHOP, await harness.upstream("r1"))
    await harness.edge.close(SHOP)
    await harness.edge.close(SHOP)
    assert await harness.answers("shop.localhost") is None


async def test_a_place_can_be_given_to_another_host(harness: Harness) -> None:
    await harness.edge.serve(SHOP, await harness.upstream("r1"))
    await harness.edge.close(SHOP)
    other = Route("other.localhost", SHOP.slot)
    await harness.edge.serve(other, await harness.upstream("r1"))
    assert await harness.answers("other.localhost") == "r1"
    assert await harness.answers("shop.localhost") is None
