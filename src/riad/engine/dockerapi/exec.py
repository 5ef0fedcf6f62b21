"""/containers/ID/exec and /exec: running more commands in a container."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from riad.engine.containers import detach
from riad.engine.containers import exec as executing
from riad.engine.containers.attach import STDERR, STDOUT
from riad.engine.containers.engine import Engine
from riad.engine.containers.exec import Exec, Executions, ExecWish, Streams
from riad.engine.dockerapi import sessions
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.streams import Hijacked, frame, hijack, stream_type
from riad.engine.dockerapi.wire import Shape, json_body, json_response, whole
from riad.kernel.faults import Fault, invalid
from riad.oci.fields import field, texts

_RESIZE_DEADLINE = 5.0


def routes(*, engine: Engine, executions: Executions) -> list[web.RouteDef]:
    async def create(request: web.Request) -> web.Response:
        container = engine.registry.find(request.match_info["id"])
        wish = read_wish(await json_body(request))
        execution = executing.create(engine, executions, container, wish, reference=request.match_info["id"])
        return json_response({"Id": execution.id}, status=201)

    @cancellable
    async def start(request: web.Request) -> web.StreamResponse:
        execution = executions.get(request.match_info["id"])
        body = await json_body(request, empty={})
        size = console_size(body) or execution.wish.console_size
        if field(body, "Detach", bool, False):
            await asyncio.shield(executing.start(engine, execution, detached=True))
            return web.Response(status=200)
        wish = execution.wish
        executing.check_startable(engine, execution)
        stream = await hijack(request, content_type=stream_type(request, tty=wish.tty))
        with contextlib.suppress(ConnectionError):
            try:
                streams, followed = await asyncio.shield(executing.start(engine, execution, console_size=size))
            except Fault as fault:  # too late for a status: Docker writes the message into the stream
                text = f"{fault.message}\r\n".encode()
                await stream.write(text if wish.tty else frame(STDOUT, text))
            else:
                await _converse(engine, stream, execution, streams, followed)
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
        detach_keys=field(body, "DetachKeys", str, "") or field(body, "detachKeys", str, ""),  # docker-py's spelling
        console_size=console_size(body),
    )


def console_size(body: Shape) -> tuple[int, int] | None:
    """`ConsoleSize`, height and width; None where it was not said. Raises INVALID for what is not two numbers."""
    size = body.get("ConsoleSize")
    match size:
        case None:
            return None
        case [int(height), int(width)] if min(height, width) >= 0:
            return height, width
    raise invalid("ConsoleSize: expected [height, width]")


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
        "DetachKeys": detach.parse_keys(wish.detach_keys).decode("latin-1") if wish.detach_keys else "",
        "Pid": execution.pid,
    }


async def _converse(
    engine: Engine, client: sessions.Client, execution: Exec, streams: Streams, followed: asyncio.Task[None]
) -> None:
    """Ends after the exit code is known, because the client asks for it at once."""
    wish = execution.wish
    keys = detach.Detector(detach.parse_keys(wish.detach_keys)) if wish.tty else None
    show = sessions.raw if wish.tty else sessions.framed
    ending = None
    try:
        output = show(streams.output(), {STDOUT, STDERR})
        ending = await sessions.converse(client, output, streams if wish.stdin else None, keys)
        if streams.ended:
            await asyncio.wait([followed])
    finally:
        if not execution.running:
            streams.close()
        else:
            engine.spawn(streams.read_on())
    if ending is sessions.Ending.DETACHED:
        executing.announce(engine, execution, "exec_detach")
