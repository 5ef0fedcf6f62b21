"""/containers/ID/attach and /logs: raw and framed streams of a container."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from aiohttp import web

from riad.engine.containers import attach, detach, logs, wait
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.streams import Hijacked, RawStream, chunked, frame, hijack, stream_type
from riad.engine.dockerapi.wire import flag, parse_moment, whole
from riad.kernel.faults import Fault, Kind, invalid

_EVERYTHING = logs.Selection()


def routes(*, engine: Engine) -> list[web.RouteDef]:
    def named(request: web.Request) -> Container:
        return engine.registry.find(request.match_info["id"])

    @cancellable
    async def attach_(request: web.Request) -> web.StreamResponse:
        container = named(request)
        keys = detach.parse_keys(request.query.get("detachKeys", ""))
        query = request.query
        wanted = {1: flag(query, "stdout"), 2: flag(query, "stderr")}
        await request.read()
        connecting = attach.attach(engine, container) if flag(query, "stream") else None
        upgraded = "upgrade" in request.headers
        tty = container.settings.tty
        stream = await hijack(request, content_type=stream_type(request, tty=tty or not upgraded))
        session = Session(stream, wanted, framed=not tty)
        try:
            if flag(query, "logs"):
                async for entries in logs.read(engine.paths.log(container.id), _EVERYTHING):
                    for entry in entries:
                        await session.show(entry.stream, entry.text)
            if connecting is not None:
                takes_input = flag(query, "stdin") and container.settings.open_stdin
                await session.run(connecting, detach.Detector(keys) if takes_input else None)
                if session.detached:
                    engine.announce(container, "detach")
        except ConnectionError:
            pass
        finally:
            await stream.close()
        return Hijacked()

    @cancellable
    async def logs_(request: web.Request) -> web.StreamResponse:
        container = named(request)
        selection = _selection(request)
        if container.settings.host.log.driver == "none":
            raise Fault(Kind.UNSUPPORTED, "configured logging driver does not support reading")
        follow = flag(request.query, "follow")
        ended = wait.begin_wait(engine, container, "next-exit") if follow and _may_grow(container) else None
        stamps, tty = flag(request.query, "timestamps"), container.settings.tty
        response = await chunked(request, content_type=stream_type(request, tty=tty))
        try:
            async for entries in logs.read(engine.paths.log(container.id), selection, ended=ended):
                await response.write(b"".join(_shown(entry, stamps=stamps, tty=tty) for entry in entries))
        finally:
            if ended is not None:
                ended.cancel()
        await response.write_eof()
        return response

    one = "/containers/{id:/?[^/]+}"
    return [web.post(one + "/attach", attach_), web.get(one + "/logs", logs_)]


def _may_grow(container: Container) -> bool:
    return container.phase in (Phase.STARTING, Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING)


def _selection(request: web.Request) -> logs.Selection:
    query = request.query
    stdout, stderr = flag(query, "stdout"), flag(query, "stderr")
    if not stdout and not stderr:
        raise invalid("Bad parameters: you must choose at least one stream")
    tail = None if query.get("tail", "") in ("", "all") else whole(query, "tail")
    return logs.Selection(
        stdout=stdout,
        stderr=stderr,
        since=parse_moment(query.get("since", ""), name="since"),
        until=parse_moment(query.get("until", ""), name="until"),
        tail=None if tail is not None and tail < 0 else tail,
    )


def _shown(entry: logs.Entry, *, stamps: bool, tty: bool) -> bytes:
    text = entry.stamp() + b" " + entry.text if stamps else entry.text
    return text if tty else frame(entry.stream, text)


class Session:
    """Copies between a hijacked connection and a container until either has ended or the detach keys were typed."""

    def __init__(self, stream: RawStream, wanted: dict[int, bool], *, framed: bool) -> None:
        self._stream = stream
        self._wanted = wanted
        self._framed = framed
        self.detached = False

    async def show(self, kind: int, data: bytes) -> None:
        if self._wanted.get(kind):
            await self._stream.write(frame(kind, data) if self._framed else data)

    async def run(self, connecting: asyncio.Future[socket.socket | None], keys: detach.Detector | None) -> None:
        """`keys` is None where the client gives no input."""
        connection = await self._unless_gone(connecting)
        if connection is None:
            return
        attached = attach.Attached(connection)
        tasks = {asyncio.ensure_future(self._output(attached))}
        if keys is not None:
            tasks.add(asyncio.ensure_future(self._input(attached, keys)))
        gone = asyncio.ensure_future(self._stream.gone.wait())
        try:
            while tasks:
                done, _ = await asyncio.wait({*tasks, gone}, return_when=asyncio.FIRST_COMPLETED)
                output_ended = any(task.result() == "output" for task in done if task is not gone)
                tasks -= done
                if gone in done or output_ended or self.detached:
                    return
        finally:
            for task in (*tasks, gone):
                task.cancel()
            attached.close()

    async def _unless_gone(self, connecting: asyncio.Future[socket.socket | None]) -> socket.socket | None:
        gone = asyncio.ensure_future(self._stream.gone.wait())
        try:
            waiting: list[asyncio.Future[Any]] = [connecting, gone]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return connecting.result() if connecting.done() else None
        finally:
            gone.cancel()
            connecting.cancel()

    async def _output(self, attached: attach.Attached) -> str:
        with contextlib.suppress(ConnectionError):
            async for kind, data in attached.output():
                await self.show(kind, data)
        return "output"

    async def _input(self, attached: attach.Attached, keys: detach.Detector) -> str:
        with contextlib.suppress(ConnectionError):
            while data := await self._stream.read():
                passed, self.detached = keys.feed(data)
                if passed:
                    await attached.send(passed)
                if self.detached:
                    return "input"
            if rest := keys.rest():
                await attached.send(rest)
        if not self._stream.gone.is_set():
            attached.end_input()
        return "input"
