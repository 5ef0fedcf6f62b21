"""/containers/ID/exec and /exec: running more commands in a container."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import web

from riad.engine.containers import detach
from riad.engine.containers import exec as executing
from riad.engine.containers.engine import Engine
from riad.engine.containers.exec import Exec, Executions, ExecWish, Streams
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.streams import STDOUT, Hijacked, RawStream, frame, hijack, stream_type
from riad.engine.dockerapi.wire import Shape, json_body, json_response, whole
from riad.kernel.faults import Fault, invalid
from riad.oci.fields import field, texts

_RESIZE_DEADLINE = 5.0


def routes(*, engine: Engine, executions: Executions) -> list[web.RouteDef]:
    async def create(request: web.Request) -> web.Response:
        container = engine.registry.find(request.match_info["id"])
        execution = executing.create(engine, executions, container, read_wish(await json_body(request)))
        return json_response({"Id": execution.id}, status=201)

    @cancellable
    async def start(request: web.Request) -> web.StreamResponse:
        execution = executions.get(request.match_info["id"])
        body = await json_body(request, empty={})
        size = body.get("ConsoleSize")
        console_size = (int(size[0]), int(size[1])) if isinstance(size, list) and len(size) == 2 else None
        if field(body, "Detach", bool, False):
            await asyncio.shield(executing.start(engine, execution, detached=True))
            return web.Response(status=200)
        wish = execution.wish
        keys = detach.parse_keys(wish.detach_keys)
        executing.check_startable(engine, execution)
        stream = await hijack(request, content_type=stream_type(request, tty=wish.tty))
        with contextlib.suppress(ConnectionError):
            try:
                streams, followed = await asyncio.shield(executing.start(engine, execution, console_size=console_size))
            except Fault as fault:  # too late for a status: Docker writes the message into the stream
                text = f"{fault.message}\r\n".encode()
                await stream.write(text if wish.tty else frame(STDOUT, text))
            else:
                await _converse(stream, execution, streams, followed, detach.Detector(keys))
        await stream.close()
        return Hijacked()

    async def inspect(request: web.Request) -> web.Response:
        return json_response(exec_shape(executions.get(request.match_info["id"])))

    async def resize(request: web.Request) -> web.Response:
        execution = executions.get(request.match_info["id"])
        height, width = whole(request.query, "h"), whole(request.query, "w")
        if height is None or width is None:
            raise invalid("h and w: the terminal's height and width are missing")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(execution.started.wait(), _RESIZE_DEADLINE)
        executing.resize(execution, height=height, width=width)
        return web.Response(status=200)

    return [
        web.post("/containers/{id:/?[^/]+}/exec", create),
        web.post("/exec/{id}/start", start),
        web.post("/exec/{id}/resize", resize),
        web.get("/exec/{id}/json", inspect),
    ]


def read_wish(body: Shape) -> ExecWish:
    """Raises INVALID naming the member."""
    return ExecWish(
        command=texts(body, "Cmd"),
        user=field(body, "User", str, ""),
        working_dir=field(body, "WorkingDir", str, ""),
        env=texts(body, "Env"),
        tty=field(body, "Tty", bool, False),
        stdin=field(body, "AttachStdin", bool, False),
        stdout=field(body, "AttachStdout", bool, False),
        stderr=field(body, "AttachStderr", bool, False),
        privileged=field(body, "Privileged", bool, False),
        detach_keys=field(body, "DetachKeys", str, ""),
    )


def exec_shape(execution: Exec) -> Shape:
    wish = execution.wish
    return {
        "ID": execution.id,
        "Running": execution.running,
        "ExitCode": execution.exit_code,
        "ProcessConfig": {
            "tty": wish.tty,
            "entrypoint": wish.command[0],
            "arguments": list(wish.command[1:]),
            "privileged": wish.privileged,
            **({"user": wish.user} if wish.user else {}),
        },
        "OpenStdin": wish.stdin,
        "OpenStderr": wish.stderr,
        "OpenStdout": wish.stdout,
        "CanRemove": execution.exit_code is not None,
        "ContainerID": execution.container_id,
        "DetachKeys": "",
        "Pid": execution.pid,
    }


async def _converse(
    stream: RawStream, execution: Exec, streams: Streams, followed: asyncio.Task[None], keys: detach.Detector
) -> None:
    """Ends after the exit code is known, because the client asks for it at once."""
    try:
        await _copy(stream, streams, execution.wish, keys)
        if streams.ended:
            await asyncio.wait([followed])
    finally:
        if not execution.running:
            streams.close()


async def _copy(stream: RawStream, streams: Streams, wish: ExecWish, keys: detach.Detector) -> None:
    """Until the output has ended, the client has gone, or it typed the detach keys."""
    output = asyncio.ensure_future(_output(stream, streams, framed=not wish.tty))
    typed = asyncio.ensure_future(_input(stream, streams, keys)) if wish.stdin else None
    gone = asyncio.ensure_future(stream.gone.wait())
    waiting: set[asyncio.Future[Any]] = {output, gone} | ({typed} if typed is not None else set())
    try:
        while not (output.done() or gone.done()):
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if typed in done and typed is not None and typed.result():
                return
    finally:
        for task in filter(None, (output, typed, gone)):
            task.cancel()


async def _output(stream: RawStream, streams: Streams, *, framed: bool) -> None:
    with contextlib.suppress(ConnectionError):
        async for kind, data in streams.output():
            await stream.write(frame(kind, data) if framed else data)


async def _input(stream: RawStream, streams: Streams, keys: detach.Detector) -> bool:
    """True when the detach keys were typed."""
    pipe = streams.stdin
    if pipe is None:
        return False
    with contextlib.suppress(ConnectionError, OSError):
        while data := await stream.read():
            passed, detached = keys.feed(data)
            if passed:
                await pipe.write(passed)
            if detached:
                return True
        if rest := keys.rest():
            await pipe.write(rest)
    streams.end_input()
    return False
