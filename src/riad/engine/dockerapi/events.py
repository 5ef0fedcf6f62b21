"""/events: what happened and happens."""

from __future__ import annotations

import asyncio
from datetime import datetime

from aiohttp import web

from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.filters import Filters, has_label, parse_filters
from riad.engine.dockerapi.streams import chunked
from riad.engine.dockerapi.wire import Shape, dumps, parse_moment
from riad.engine.events import Event, Events
from riad.kernel.clock import Clock

_FILTERS = frozenset(
    [
        "config",
        "container",
        "daemon",
        "event",
        "image",
        "label",
        "network",
        "node",
        "plugin",
        "scope",
        "secret",
        "service",
        "type",
        "volume",
    ]
)
_KINDS = ("container", "image", "network", "volume", "daemon")


def routes(*, events: Events, clock: Clock) -> list[web.RouteDef]:
    @cancellable
    async def stream(request: web.Request) -> web.StreamResponse:
        filters = parse_filters(request.query.get("filters"), known=_FILTERS)
        since = parse_moment(request.query.get("since", ""), name="since")
        until = parse_moment(request.query.get("until", ""), name="until")
        with events.listening() as happening:
            response = await chunked(request, content_type="application/json")

            async def tell(event: Event) -> None:
                if matches(event, filters):
                    await response.write((dumps(event_shape(event)) + "\n").encode())

            if since is not None or until is not None:
                for event in events.past():
                    if (since is None or event.at >= since) and (until is None or event.at <= until):
                        await tell(event)
            left = _left(until, clock.now())
            try:
                async with asyncio.timeout(left):
                    if left is None or left > 0:
                        async for event in happening:
                            await tell(event)
            except TimeoutError:
                pass
        await response.write_eof()
        return response

    return [web.get("/events", stream)]


def _left(until: datetime | None, now: datetime) -> float | None:
    return None if until is None else max(0.0, (until - now).total_seconds())


def matches(event: Event, filters: Filters) -> bool:
    """All filters hold; a filter by kind (`container=x`) takes a name, an id or the start of one."""
    attributes = event.attributes
    if not filters.exact("type", event.kind) or not filters.exact("scope", "local"):
        return False
    wanted = filters.get("event")
    if wanted and not any(event.action == text or event.action.startswith(text + ":") for text in wanted):
        return False
    if not all(has_label(attributes, text) for text in filters.get("label")):
        return False
    asked = [kind for kind in _KINDS if kind in filters]
    return (
        not asked
        or any(event.kind == kind and any(_is(event, text) for text in filters.get(kind)) for kind in asked)
        or ("image" in asked and event.kind == "container" and attributes.get("image") in filters.get("image"))
    )


def _is(event: Event, text: str) -> bool:
    return text in (event.subject, event.attributes.get("name")) or event.subject.startswith(text)


def event_shape(event: Event) -> Shape:
    nanoseconds = int(event.at.timestamp()) * 10**9 + event.at.microsecond * 1000
    shape: Shape = {}
    if event.kind in ("container", "image"):
        shape = {"status": event.action, "id": event.subject}
        if event.kind == "container":
            shape["from"] = event.attributes.get("image", "")
    return shape | {
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.subject, "Attributes": dict(event.attributes)},
        "scope": "local",
        "time": int(event.at.timestamp()),
        "timeNano": nanoseconds,
    }
