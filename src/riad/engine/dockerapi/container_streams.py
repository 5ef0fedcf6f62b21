"""/containers/ID/attach, over a hijacked connection or a WebSocket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from riad.engine.containers import attach, detach
from riad.engine.containers.attach import STDERR, STDOUT, Attached
from riad.engine.containers.engine import Engine
from riad.engine.containers.logs.read import Selection, read
from riad.engine.containers.logs.show import Show, View
from riad.engine.containers.model import Container
from riad.engine.dockerapi import sessions
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.container_logs import check_readable, following
from riad.engine.dockerapi.streams import Hijacked, hijack, stream_type
from riad.engine.dockerapi.websockets import WebSocket
from riad.engine.dockerapi.wire import flag, version_of


@dataclass(frozen=True, slots=True)
class Wish:
    """What the client asked for; `outputs` are the streams to be shown."""

    outputs: frozenset[int]
    stdin: bool
    logs: bool
    stream: bool
    keys: bytes


def routes(*, engine: Engine) -> list[web.RouteDef]:
    @cancellable
    async def attach_(request: web.Request) -> web.StreamResponse:
        container, wish = _asked(engine, request)
        await request.read()
        connecting = _connecting(engine, container, wish)
        framed = not container.settings.tty
        # Clients that did not upgrade are old ones: they know one type only.
        bare = not framed or "upgrade" not in request.headers
        client = await hijack(request, content_type=stream_type(request, tty=bare))
        try:
            await _Session(engine, container, wish, framed=framed).run(client, connecting)
        finally:
            await client.close()
        return Hijacked()

    @cancellable
    async def attach_websocket(request: web.Request) -> web.StreamResponse:
        container, wish = _asked(engine, request, everything=version_of(request) < (1, 42))
        client = await WebSocket.accept(request)
        try:
            await _Session(engine, container, wish, framed=False).run(client, _connecting(engine, container, wish))
        finally:
            await client.close()
        return client.response

    one = "/containers/{id:/?[^/]+}"
    return [web.post(one + "/attach", attach_), web.get(one + "/attach/ws", attach_websocket)]


def _asked(engine: Engine, request: web.Request, *, everything: bool = False) -> tuple[Container, Wish]:
    """Raises everything that can be said before the connection leaves HTTP."""
    query, reference = request.query, request.match_info["id"]
    keys = detach.parse_keys(query.get("detachKeys", ""))
    container = engine.registry.find(reference)
    attach.check_attachable(container, reference)
    outputs = {kind for kind, name in ((STDOUT, "stdout"), (STDERR, "stderr")) if everything or flag(query, name)}
    stdin = (everything or flag(query, "stdin")) and container.settings.open_stdin
    wish = Wish(frozenset(outputs), stdin, flag(query, "logs"), flag(query, "stream"), keys)
    if wish.logs:
        check_readable(container)
    return container, wish


def _connecting(engine: Engine, container: Container, wish: Wish) -> asyncio.Future[socket.socket | None] | None:
    return attach.connect(engine, container) if wish.stream else None


class _Session:
    def __init__(self, engine: Engine, container: Container, wish: Wish, *, framed: bool) -> None:
        self._engine = engine
        self._container = container
        self._wish = wish
        self._framed = framed

    async def run(self, client: sessions.Client, connecting: asyncio.Future[socket.socket | None] | None) -> None:
        self._engine.announce(self._container, "attach")
        if connecting is None:
            if self._wish.logs:
                await sessions.converse(client, self._logged(follow=False), None)
            return
        connection = await _unless_gone(client, connecting)
        if connection is None:
            return
        attached = Attached(connection, attach.ends_input(self._container.settings))
        given = attached if self._wish.stdin else None
        keys = detach.Detector(self._wish.keys) if self._container.settings.tty else None
        try:
            ending = await sessions.converse(client, self._output(attached), given, keys)
        finally:
            attach.leave(self._engine, attached, gave_input=self._wish.stdin)
        if ending is sessions.Ending.DETACHED:
            self._engine.announce(self._container, "detach")

    def _output(self, attached: Attached) -> AsyncIterator[bytes]:
        """With `logs` everything comes from the log, followed: so nothing between past and present is lost or twice."""
        if self._wish.logs:
            return self._logged(follow=True, beside=attached)
        shown = sessions.framed if self._framed else sessions.raw
        return shown(attached.output(), set(self._wish.outputs))

    async def _logged(self, *, follow: bool, beside: Attached | None = None) -> AsyncIterator[bytes]:
        outputs = self._wish.outputs
        show = Show(View(STDOUT in outputs, STDERR in outputs, framed=self._framed))
        followed = following(self._engine, self._container) if follow else None
        reading = asyncio.ensure_future(_ignore(beside)) if beside is not None else None
        try:
            log = self._engine.paths.log(self._container.id)
            async for block in read(log, Selection(), follow=followed, unfinished=True):
                if data := show(block.data):
                    yield data
        finally:
            if followed is not None:
                followed.ended.cancel()
            if reading is not None:
                reading.cancel()


async def _ignore(attached: Attached) -> None:
    """conmon waits for those that do not read."""
    async for _ in attached.output():
        pass


async def _unless_gone(
    client: sessions.Client, connecting: asyncio.Future[socket.socket | None]
) -> socket.socket | None:
    gone = asyncio.ensure_future(client.gone.wait())
    try:
        waiting: set[asyncio.Future[Any]] = {connecting, gone}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return connecting.result() if connecting.done() else None
    finally:
        gone.cancel()
        connecting.cancel()
