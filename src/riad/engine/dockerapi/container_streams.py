"""/containers/ID/attach, over a hijacked connection or a WebSocket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from riad.engine.containers import attach, detach, wait
from riad.engine.containers.attach import STDERR, STDOUT, Attached
from riad.engine.containers.engine import Engine
from riad.engine.containers.logs.read import Follow, Selection, read
from riad.engine.containers.logs.show import Show, View
from riad.engine.containers.model import Container
from riad.engine.dockerapi import sessions
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.container_logs import check_readable
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
    """With the log, output comes from there: only input needs a connection."""
    return attach.connect(engine, container) if wish.stream and (wish.stdin or not wish.logs) else None


class _Session:
    def __init__(self, engine: Engine, container: Container, wish: Wish, *, framed: bool) -> None:
        self._engine = engine
        self._container = container
        self._wish = wish
        self._framed = framed

    async def run(self, client: sessions.Client, connecting: asyncio.Future[socket.socket | None] | None) -> None:
        self._engine.announce(self._container, "attach")
        ending: sessions.Ending | None = None
        if self._wish.logs:
            ending = await self._with_log(client, connecting)
        elif connecting is not None:
            ending = await self._live(client, connecting)
        if ending is sessions.Ending.DETACHED:
            self._engine.announce(self._container, "detach")

    async def _live(
        self, client: sessions.Client, connecting: asyncio.Future[socket.socket | None]
    ) -> sessions.Ending | None:
        connection = await _unless_gone(client, connecting)
        if connection is None:
            return None
        attached = Attached(connection, attach.ends_input(self._container.settings))
        shown = sessions.framed if self._framed else sessions.raw
        output = shown(attached.output(), set(self._wish.outputs))
        try:
            return await sessions.converse(client, output, attached if self._wish.stdin else None, self._keys())
        finally:
            attach.leave(self._engine, attached, gave_input=self._wish.stdin)

    async def _with_log(
        self, client: sessions.Client, connecting: asyncio.Future[socket.socket | None] | None
    ) -> sessions.Ending:
        """All output comes from the log, followed: so nothing between past and present is lost or comes twice."""
        follow = None
        if self._wish.stream:
            follow = Follow(self._engine.keeper.watches, wait.begin_wait(self._engine, self._container, "next-exit"))
        given = None if connecting is None else _Input(self._engine, self._container, connecting)
        try:
            return await sessions.converse(client, self._logged(follow), given, self._keys())
        finally:
            if follow is not None:
                follow.ended.cancel()
            if given is not None:
                given.close()

    def _keys(self) -> detach.Detector | None:
        return detach.Detector(self._wish.keys) if self._container.settings.tty else None

    async def _logged(self, follow: Follow | None) -> AsyncIterator[bytes]:
        outputs = self._wish.outputs
        show = Show(View(STDOUT in outputs, STDERR in outputs, framed=self._framed))
        async for block in read(
            self._engine.paths.log(self._container.id), Selection(), follow=follow, unfinished=True
        ):
            if data := show(block.data):
                yield data


class _Input:
    """Input for a container that may only start later. Its output is read: conmon waits for those that do not."""

    def __init__(self, engine: Engine, container: Container, connecting: asyncio.Future[socket.socket | None]) -> None:
        self._connecting = connecting
        self._ends = attach.ends_input(container.settings)
        self._attached: asyncio.Future[Attached] = asyncio.get_running_loop().create_future()
        self._reading = engine.spawn(self._read())

    async def _read(self) -> None:
        if (connection := await self._connecting) is not None:
            attached = Attached(connection, self._ends)
            self._attached.set_result(attached)
            await attached.read_on()

    async def send(self, data: bytes) -> None:
        await (await asyncio.shield(self._attached)).send(data)

    def end(self) -> bool:
        return self._attached.result().end() if self._attached.done() else True

    def close(self) -> None:
        self._connecting.cancel()
        self._reading.cancel()


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
