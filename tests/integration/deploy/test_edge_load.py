"""What users of a service notice of roll-outs and roll-backs: nothing. A real HAProxy, real services, real clients."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from fakes.haproxy import HAPROXY, RunningEdge, running_edge, service, write
from riad.deploy.edge.config import CONFIG
from riad.deploy.edge.port import Route, Upstream

pytestmark = pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")

SHOP = Route("shop.localhost", 1)
HOST = {"Host": SHOP.host}
SWAPS = 7


@dataclass
class Load:
    """50 requests a second: kept connections with GET and POST, and a new connection for each third one."""

    url: str
    answers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    async def run(self, over: asyncio.Event) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4)) as kept:
            fresh = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
            async with fresh, asyncio.TaskGroup() as group:
                number = 0
                while not over.is_set():
                    session = fresh if number % 3 == 0 else kept
                    group.create_task(self._ask(session, "POST" if number % 2 else "GET"))
                    number += 1
                    await asyncio.sleep(0.02)

    async def _ask(self, session: aiohttp.ClientSession, method: str) -> None:
        body = b"x" * 2000 if method == "POST" else None
        try:
            async with session.request(method, self.url, headers=HOST, data=body) as response:
                text = await response.text()
        except (aiohttp.ClientError, OSError) as error:
            self.failures.append(f"{method}: {error!r}")
            return
        if response.status == 200:
            self.answers[text] = self.answers.get(text, 0) + 1
        else:
            self.failures.append(f"{method}: {response.status} {text[:200]}")


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[RunningEdge]:
    async with running_edge(tmp_path) as running:
        yield running


async def slow(session: aiohttp.ClientSession, edge: RunningEdge, seconds: float) -> str:
    async with session.get(edge.url(f"/slow?seconds={seconds}"), headers=HOST) as response:
        assert response.status == 200
        return await response.text()


async def events(session: aiohttp.ClientSession, edge: RunningEdge, count: int) -> list[str]:
    async with session.get(edge.url(f"/events?count={count}"), headers=HOST) as response:
        return [line.decode().strip() async for line in response.content if line.strip()]


async def test_no_request_is_lost_in_five_rollouts_and_two_roll_backs(edge: RunningEdge) -> None:
    load, over = Load(edge.url()), asyncio.Event()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await edge.edge.serve(SHOP, await stack.enter_async_context(service("r0")))
        socket = await stack.enter_async_context(session.ws_connect(edge.url("/ws"), headers=HOST))
        lasting = [asyncio.create_task(slow(session, edge, 2.5)), asyncio.create_task(events(session, edge, 40))]
        running = asyncio.create_task(load.run(over))
        old: AsyncExitStack | None = None
        for number in range(1, SWAPS + 1):
            new = AsyncExitStack()
            stack.push_async_exit(new)
            upstream = await new.enter_async_context(service(f"r{number}"))
            await edge.edge.serve(SHOP, upstream)
            if number > 1:
                async with asyncio.timeout(5):
                    while await edge.edge.connections(SHOP, f"r{number - 1}"):  # noqa: ASYNC110 -- it can only be asked
                        await asyncio.sleep(0.02)
                await edge.edge.remove(SHOP, f"r{number - 1}")
                if old is not None:
                    await old.aclose()
            old = new
            await asyncio.sleep(0.4)  # traffic on this release, for the load to meet it
        slow_answer, event_lines = await asyncio.gather(*lasting)
        await socket.send_str("still here?")
        assert (await socket.receive(5)).data == "r0 still here?"
        over.set()
        await running
        assert await edge.edge.connections(SHOP, "r0") == 1
    assert load.failures == []
    assert set(load.answers) >= {f"r{number}" for number in range(1, SWAPS + 1)}
    assert slow_answer == "r0"
    assert event_lines == [f"data: r0 {number}" for number in range(40)]


async def test_the_new_release_answers_at_once_and_the_old_one_never_again(edge: RunningEdge) -> None:
    async with service("r1") as first, service("r2") as second, aiohttp.ClientSession() as session:
        await edge.edge.serve(SHOP, first)
        async with session.get(edge.url(), headers=HOST) as response:
            assert await response.text() == "r1"
        await edge.edge.serve(SHOP, second)
        for _ in range(20):  # on the connection that was kept
            async with session.get(edge.url(), headers=HOST) as response:
                assert await response.text() == "r2"


async def test_an_edge_that_is_started_again_has_the_same_routes(tmp_path: Path) -> None:
    async with service("r4") as upstream, running_edge(tmp_path, routes={SHOP: upstream}) as edge:
        assert await edge.get("shop.localhost") == (200, "r4")
        async with service("r5") as newer:
            await edge.edge.serve(SHOP, newer)
            await edge.edge.remove(SHOP, "r4")
            assert await edge.get("SHOP.localhost:1234") == (200, "r5")


async def test_a_name_without_a_service_gets_a_page_that_says_so(edge: RunningEdge) -> None:
    status, page = await edge.get("nope.localhost")
    assert status == 404
    assert "<code>nope.localhost</code>" in page
    assert f'href="http://localhost:{edge.port}"' in page
    _, page = await edge.get('"><script>alert(1)</script>.localhost')
    assert "<script>" not in page


async def test_a_service_that_does_not_answer_gets_a_page_that_says_so(edge: RunningEdge) -> None:
    await edge.edge.serve(SHOP, Upstream("r1", "127.0.0.1", 1))
    status, page = await edge.get("shop.localhost")
    assert status == 503
    assert "This service is not answering" in page


async def test_a_service_that_is_started_again_costs_patience_and_no_error(edge: RunningEdge) -> None:
    async with service("r1") as upstream:
        await edge.edge.serve(SHOP, upstream)
    asking = asyncio.create_task(edge.get("shop.localhost"))
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="back")

    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await asyncio.sleep(0.3)  # the first attempts find nobody
    await web.TCPSite(runner, upstream.host, upstream.port).start()
    try:
        assert await asking == (200, "back")
    finally:
        await runner.cleanup()


async def test_everything_else_is_riad_with_true_forwarding_headers(tmp_path: Path) -> None:
    async with service("riad") as riad, running_edge(tmp_path, riad=f"{riad.host}:{riad.port}") as edge:
        assert await edge.get("localhost:8080") == (200, "riad")
        assert await edge.get("riad.example") == (200, "riad")
        assert await edge.get("127.0.0.1") == (200, "riad")
        forged = {"Host": "localhost:8080", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(edge.url("/headers"), headers=forged) as response,
        ):
            assert await response.json() == {
                "X-Forwarded-For": "127.0.0.1",
                "X-Forwarded-Proto": "http",
                "X-Forwarded-Host": "localhost:8080",
            }


async def test_no_service_takes_over_riads_own_name(tmp_path: Path) -> None:
    async with (
        service("riad") as riad,
        service("thief") as thief,
        running_edge(tmp_path, riad=f"{riad.host}:{riad.port}") as edge,
    ):
        await edge.edge.serve(Route("localhost", 2), thief)
        assert await edge.get("localhost") == (200, "riad")


async def test_a_name_may_end_with_a_dot_as_names_do(edge: RunningEdge) -> None:
    async with service("r1") as upstream:
        await edge.edge.serve(SHOP, upstream)
        assert await edge.get("shop.localhost.:8080") == (200, "r1")
        assert (await edge.get("nope.localhost."))[0] == 404


async def test_riad_answers_on_a_unix_socket_and_large_pushes_pass(tmp_path: Path) -> None:
    app = web.Application(client_max_size=1 << 30)

    async def count(request: web.Request) -> web.Response:
        total = 0
        async for piece in request.content.iter_any():
            total += len(piece)
        return web.Response(text=str(total))

    app.router.add_post("/push", count)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "riad.sock")).start()

    async def pack() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield b"x" * 262144

    try:
        async with (
            running_edge(tmp_path, riad=f"unix@{tmp_path}/riad.sock") as edge,
            aiohttp.ClientSession() as session,
            session.post(edge.url("/push"), data=pack()) as response,
        ):
            assert await response.text() == str(256 * 262144)
    finally:
        await runner.cleanup()


async def test_without_riad_its_page_says_that_services_go_on(edge: RunningEdge) -> None:
    async with service("r1") as upstream:
        await edge.edge.serve(SHOP, upstream)
        assert await edge.get("shop.localhost") == (200, "r1")
    (edge.settings.folder / "riad-down.http").read_text().index("Services that were released go on answering")


def test_haproxy_finds_nothing_to_warn_about(tmp_path: Path) -> None:
    from riad.deploy.edge.config import EdgeSettings

    settings = EdgeSettings(
        tmp_path / "edge", tmp_path / "a.sock", ("*:8080", ":::8080 v6only"), "unix@/x", "http://localhost:8080"
    )
    write(settings, {SHOP: Upstream("r1", "127.0.0.1", 1)})
    assert HAPROXY is not None
    checked = subprocess.run(
        [HAPROXY, "-c", "-V", "-dW", "-f", str(settings.folder / CONFIG)], capture_output=True, text=True, timeout=20
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "WARNING" not in checked.stderr
