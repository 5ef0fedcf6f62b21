"""POST /grpc and POST /session: connections that leave HTTP/1 for BuildKit's protocol, gRPC over HTTP/2.

On /grpc the engine serves, on /session it is the client. A connection lasts until its client closes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from riad.engine.buildkit.daemon import BuildKit
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.streams import Hijacked, RawStream, hijack
from riad.kernel.faults import invalid


def routes(*, buildkit: BuildKit) -> list[web.RouteDef]:
    @cancellable
    async def grpc(request: web.Request) -> web.StreamResponse:
        return await _taken(request, buildkit.serve)

    @cancellable
    async def session(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): request.headers.getall(name) for name in request.headers}
        if not headers.get("x-docker-expose-session-uuid"):
            raise invalid("session: the header X-Docker-Expose-Session-Uuid is missing")

        async def carry(stream: RawStream) -> None:
            await buildkit.sessions.serve(stream, headers)

        return await _taken(request, carry)

    return [web.post("/grpc", grpc), web.post("/session", session)]


async def _taken(request: web.Request, carry: Callable[[RawStream], Awaitable[None]]) -> web.StreamResponse:
    if request.headers.get("Upgrade", "").lower() != "h2c":
        raise invalid(f"{request.path}: expected an upgrade to h2c; this is for BuildKit's clients, such as buildx")
    stream = await hijack(request, protocol="h2c")
    await carry(stream)
    return Hijacked()
