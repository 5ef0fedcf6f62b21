"""GET /metrics: for Prometheus, on the engine's socket and, where asked for, on an address of its own."""

from __future__ import annotations

from aiohttp import web

from riad.engine.metrics.collect import Metrics
from riad.engine.metrics.exposition import CONTENT_TYPE
from riad.kernel.faults import conflict, invalid


def routes(*, metrics: Metrics) -> list[web.RouteDef]:
    async def tell(_: web.Request) -> web.Response:
        return web.Response(body=(await metrics.text()).encode(), headers={"Content-Type": CONTENT_TYPE})

    return [web.get("/metrics", tell)]


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT; a host in brackets may be IPv6. Raises INVALID."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise invalid(f"--metrics-addr {text}: expected HOST:PORT, such as 127.0.0.1:9323")
    return host.strip("[]"), int(port)


async def serve(metrics: Metrics, address: str) -> web.AppRunner:
    """Answers GET /metrics alone, without any right on the engine. Raises CONFLICT for a taken address."""
    host, port = parse_address(address)
    app = web.Application()
    app.add_routes(routes(metrics=metrics))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.3)
    await runner.setup()
    try:
        await web.TCPSite(runner, host or None, port).start()
    except OSError as error:
        await runner.cleanup()
        raise conflict(f"--metrics-addr {address}: {error.strerror or error}") from None
    return runner
