"""The HTTP application: every resource's routes with and without a version in the path, and what all answers share.

A client that goes away cancels only handlers marked `@cancellable` (streams, waits, pulls, builds): a start or a
removal that was asked for is carried out to its end even if nobody waits for the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TypeVar

from aiohttp import web

from riad.engine.dockerapi import errors, wire

H = TypeVar("H", bound=errors.Handler)

VERSION_PREFIX = r"/v{version:\d+\.\d+}"


def cancellable(handler: H) -> H:
    """Marks a handler that ends with its client."""
    handler.__riad_cancellable__ = True  # type: ignore[attr-defined]
    return handler


def build_app(routes: Iterable[web.RouteDef]) -> web.Application:
    """The application over all parts' routes. Whatever is not among them answers 501 by name."""
    app = web.Application(middlewares=[errors.errors, _versions, _finish], client_max_size=2**26)
    app.on_response_prepare.append(_common_headers)
    for route in routes:
        for prefix in ("", VERSION_PREFIX):
            web.RouteDef(route.method, prefix + route.path, route.handler, route.kwargs).register(app.router)
    app.router.add_route("*", "/{tail:.*}", _not_implemented)
    return app


async def _common_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Api-Version"] = wire.dotted(wire.API_VERSION)
    response.headers["Ostype"] = "linux"
    response.headers["Docker-Experimental"] = "false"
    response.headers["Server"] = f"Docker/{wire.ENGINE_VERSION} (linux)"


async def _not_implemented(request: web.Request) -> web.StreamResponse:
    return errors.error_response(501, f"riad: {request.method} {request.path} is not implemented")


@web.middleware
async def _versions(request: web.Request, handler: errors.Handler) -> web.StreamResponse:
    asked = wire.version_of(request)
    if asked > wire.API_VERSION:
        return errors.error_response(
            400,
            f"client version {wire.dotted(asked)} is too new. "
            f"Maximum supported API version is {wire.dotted(wire.API_VERSION)}",
        )
    if asked < wire.OLDEST_API_VERSION:
        return errors.error_response(
            400,
            f"client version {wire.dotted(asked)} is too old. Minimum supported API version is "
            f"{wire.dotted(wire.OLDEST_API_VERSION)}, please upgrade your client to a newer version",
        )
    return await handler(request)


@web.middleware
async def _finish(request: web.Request, handler: errors.Handler) -> web.StreamResponse:
    """Carries what was begun to its end, whether or not the client still listens."""
    if request.method in ("GET", "HEAD") or getattr(request.match_info.handler, "__riad_cancellable__", False):
        return await handler(request)
    return await asyncio.shield(asyncio.ensure_future(handler(request)))
