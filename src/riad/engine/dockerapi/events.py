"""/events: what happened and happens."""

from __future__ import annotations

import asyncio
from datetime import datetime

from aiohttp import web

from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.event_filters import KNOWN, matches
from riad.engine.dockerapi.filters import parse_filters
from riad.engine.dockerapi.streams import chunked
from riad.engine.dockerapi.wire import Shape, dumps, parse_moment, version_of
from riad.engine.events import Event, Events
from riad.kernel.clock import Clock
from riad.kernel.faults import invalid

_IMAGE_CREATE_SINCE = (1, 46)


def routes(*, events: Events, clock: Clock) -> list[web.RouteDef]:
    @cancellable
    async def stream(request: web.Request) -> web.StreamResponse:
        filters = parse_filters(request.query.get("filters"), known=KNOWN)
        since = parse_moment(request.query.get("since", ""), name="since")
        until = parse_moment(request.query.get("until", ""), name="until")
        if since is not None and until is not None and until < since:
            asked = f"`since` time ({request.query['since']}) cannot be after `until` time ({request.query['until']})"
            raise invalid(asked)
        newer = version_of(request) >= _IMAGE_CREATE_SINCE
        with events.listening() as happening:
            past = events.past()  # now: what happens from here on comes by listening, and nothing twice
            response = await chunked(request, content_type="application/json")

            async def tell(event: Event) -> None:
                if matches(event, filters) and (newer or (event.kind, event.action) != ("image", "create")):
                    await response.write((dumps(event_shape(event)) + "\n").encode())

            if since is not None or until is not None:
                for event in past:
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
