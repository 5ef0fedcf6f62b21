"""Every prune tells that it happened and how much it freed, whichever part carries it out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import wraps
from typing import Any

from aiohttp import web

from riad.engine.containers.engine import Publish

_KINDS = {
    "/containers/prune": "container",
    "/networks/prune": "network",
    "/volumes/prune": "volume",
    "/build/prune": "builder",
}
"""The images' own verb tells of its prune itself."""


def announced(routes: Iterable[web.RouteDef], publish: Publish) -> Iterator[web.RouteDef]:
    """The routes, those that prune with an event `prune` after a success."""
    for route in routes:
        kind = _KINDS.get(route.path)
        handler = route.handler if kind is None else _telling(route.handler, kind, publish)
        yield web.RouteDef(route.method, route.path, handler, route.kwargs)


def _telling(handler: Any, kind: str, publish: Publish) -> Any:
    @wraps(handler)  # with its marks, such as of being cancellable
    async def prune(request: web.Request) -> web.Response:
        response: web.Response = await handler(request)
        if isinstance(response.body, bytes):
            publish(kind, "prune", "", {"reclaimed": str(json.loads(response.body).get("SpaceReclaimed", 0))})
        return response

    return prune
