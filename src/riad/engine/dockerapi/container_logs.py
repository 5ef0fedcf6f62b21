"""/containers/ID/logs: what a container has written, chosen, framed and followed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from riad.engine.containers import logging, wait
from riad.engine.containers.engine import Engine
from riad.engine.containers.logs import attributes, options
from riad.engine.containers.logs.read import Follow, Selection, read
from riad.engine.containers.logs.show import Show, View
from riad.engine.containers.model import Container, Phase
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.streams import chunked, stream_type
from riad.engine.dockerapi.wire import flag, no_content, parse_moment
from riad.kernel.faults import Fault, Kind, conflict, invalid


def routes(*, engine: Engine) -> list[web.RouteDef]:
    @cancellable
    async def logs(request: web.Request) -> web.StreamResponse:
        container = engine.registry.find(request.match_info["id"])
        view, selection = _view(request, container), read_selection(request.query)
        check_readable(container)
        tty = container.settings.tty
        follow = following(engine, container) if flag(request.query, "follow") else None
        response = await chunked(request, content_type=stream_type(request, tty=tty))
        show = Show(view)
        try:
            log = engine.paths.log(container.id)
            async for block in read(log, selection, follow=follow, unfinished=tty):
                if data := show(block.data):
                    await response.write(data)
        finally:
            if follow is not None:
                follow.ended.cancel()
        await response.write_eof()
        return response

    async def clear(request: web.Request) -> web.Response:
        container = engine.registry.find(request.match_info["id"])
        check_readable(container)
        await engine.keeper.clear(container.id, engine.paths.log(container.id))
        return no_content()

    return [
        web.get("/containers/{id:/?[^/]+}/logs", logs),
        web.post("/riad/containers/{id:/?[^/]+}/logs/clear", clear),
    ]


def check_readable(container: Container) -> None:
    """Raises UNSUPPORTED for a driver that keeps nothing here, CONFLICT while the container is being removed."""
    if container.phase is Phase.REMOVING:
        raise conflict("can not get logs from container which is dead or marked for removal")
    wish = container.settings.host.log
    if not options.readable(wish.driver, wish.options):
        raise Fault(Kind.UNSUPPORTED, "configured logging driver does not support reading")


def following(engine: Engine, container: Container) -> Follow | None:
    """To its end, over restarts by its policy; None for one that has ended. One that never ran is waited for."""
    if container.phase in (Phase.EXITED, Phase.REMOVING):
        return None
    ended: asyncio.Future[int] = wait.begin_wait(engine, container, "next-exit")
    return Follow(engine.keeper.watches, ended)


def read_selection(query: Mapping[str, str]) -> Selection:
    """Raises INVALID naming the parameter. A tail that is no number is all, as Docker has it."""
    text = query.get("tail", "")
    tail = int(text) if text.isascii() and text.isdigit() else None
    return Selection(_nanoseconds(query, "since"), _nanoseconds(query, "until"), tail)


def _nanoseconds(query: Mapping[str, str], name: str) -> int | None:
    """Unix seconds with up to nine decimals, exactly; or RFC 3339. None for "" and 0."""
    text = query.get(name, "")
    seconds, _, fraction = text.partition(".")
    if seconds.isascii() and seconds.isdigit() and (not fraction or (fraction.isascii() and fraction.isdigit())):
        return (int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))) or None
    at = parse_moment(text, name=f'invalid value for "{name}"')
    return None if at is None else int(at.timestamp()) * 10**9 + at.microsecond * 1000


def _view(request: web.Request, container: Container) -> View:
    query = request.query
    stdout, stderr = flag(query, "stdout"), flag(query, "stderr")
    if not stdout and not stderr:
        raise invalid("Bad parameters: you must choose at least one stream")
    details = None
    if flag(query, "details"):
        details = attributes.details(container.settings.host.log.options, logging.subject(container))
    tty = container.settings.tty
    return View(stdout, stderr, flag(query, "timestamps"), details, framed=not tty)
