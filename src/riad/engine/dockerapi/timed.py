"""Takes the time of the routes that carry out a container's verbs, for metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import wraps
from typing import Any

from aiohttp import web

from riad.engine.metrics.timings import Timings

_VERBS = {
    ("GET", "changes"): "changes",
    ("POST", "commit"): "commit",
    ("POST", "create"): "create",
    ("POST", "start"): "start",
}


def timed(routes: Iterable[web.RouteDef], timings: Timings) -> Iterator[web.RouteDef]:
    """The routes, those of the verbs with a stop-watch: successes alone count."""
    for route in routes:
        action = _action(route)
        handler = route.handler if action is None else _watched(route.handler, action, timings)
        yield web.RouteDef(route.method, route.path, handler, route.kwargs)


def _action(route: web.RouteDef) -> str | None:
    if route.path == "/commit":
        return "commit"
    if not route.path.startswith("/containers/"):
        return None
    if route.method == "DELETE":
        return "delete"
    return _VERBS.get((route.method, route.path.rpartition("/")[2]))


def _watched(handler: Any, action: str, timings: Timings) -> Any:
    @wraps(handler)  # with its marks, such as of being cancellable
    async def watched(request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        response: web.StreamResponse = await handler(request)
        timings.took(action, time.perf_counter() - began)
        return response

    return watched
