"""A real HAProxy for one test, with the configuration that Riad writes, and small HTTP services behind it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from ports import free_port
from riad.deploy.edge.config import CONFIG, EdgeSettings, edge_files
from riad.deploy.edge.haproxy import HaproxyEdge
from riad.deploy.edge.port import Route, Upstream

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@dataclass
class RunningEdge:
    edge: HaproxyEdge
    port: int
    settings: EdgeSettings
    process: asyncio.subprocess.Process

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def get(self, host: str, path: str = "/") -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.url(path), headers={"Host": host}) as response,
        ):
            return response.status, await response.text()


def write(settings: EdgeSettings, routes: dict[Route, Upstream | None]) -> None:
    settings.folder.mkdir(parents=True, exist_ok=True)
    for name, text in edge_files(settings, routes).items():
        (settings.folder / name).write_text(text)


@asynccontextmanager
async def running_edge(
    folder: Path, *, riad: str = "127.0.0.1:1", routes: dict[Route, Upstream | None] | None = None
) -> AsyncIterator[RunningEdge]:
    assert HAPROXY is not None
    port = free_port()
    settings = EdgeSettings(
        folder=folder / "edge",
        admin_socket=folder / "admin.sock",
        binds=(f"127.0.0.1:{port}",),
        riad=riad,
        riad_url=f"http://localhost:{port}",
    )
    write(settings, routes or {})
    process = await asyncio.create_subprocess_exec(HAPROXY, "-db", "-q", "-f", str(settings.folder / CONFIG))
    try:
        await reachable("127.0.0.1", port, process)
        yield RunningEdge(HaproxyEdge(settings.admin_socket, settings.folder), port, settings, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def reachable(host: str, port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(10):
        while True:
            assert process.returncode is None, "HAProxy ended as soon as it had started"
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@asynccontextmanager
async def service(version: str) -> AsyncIterator[Upstream]:
    """Answers its version on /, after `seconds` on /slow, as events on /events, as an echo on /ws; /headers."""
    app = web.Application()

    async def root(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=version)

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query["seconds"]))
        return web.Response(text=version)

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(int(request.query["count"])):
            await response.write(f"data: {version} {number}\n\n".encode())
            await asyncio.sleep(0.05)
        return response

    async def echo(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        async for message in connection:
            await connection.send_str(f"{version} {message.data}")
        return connection

    async def headers(request: web.Request) -> web.Response:
        return web.json_response({key: value for key, value in request.headers.items() if key.startswith("X-Forw")})

    app.router.add_route("*", "/", root)
    app.router.add_get("/slow", slow)
    app.router.add_get("/events", events)
    app.router.add_get("/ws", echo)
    app.router.add_get("/headers", headers)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield Upstream(version, "127.0.0.1", port)
    finally:
        await runner.cleanup()
