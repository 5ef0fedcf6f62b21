"""gRPC calls over an HTTP/2 connection: serving them, and making them (grpc/doc/PROTOCOL-HTTP2.md).

A service is a table from paths to methods. A method that fails with a Fault answers with its message; `CallFailed`
carries what else a client shows (the place in the Dockerfile).
"""

from __future__ import annotations

import asyncio
import base64
import enum
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from riad.engine.buildkit.http2 import Connection, Gone, Headers, Stream
from riad.engine.buildkit.messages.common import Any_, Status
from riad.engine.buildkit.protobuf import Malformed, decode, encode
from riad.kernel import logs
from riad.kernel.faults import Fault

_log = logs.named("engine.buildkit")

R = TypeVar("R")
_SAFE = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


class Code(enum.IntEnum):
    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class CallFailed(Exception):  # noqa: N818 -- an answer, not an error of the program
    """A call's status other than OK."""

    def __init__(self, code: int, message: str, details: tuple[Any_, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    @property
    def status(self) -> Status:
        return Status(self.code, self.message, self.details)


@dataclass(frozen=True, slots=True)
class Call:
    """One call being served. `metadata` are the request's headers, lower case."""

    stream: Stream
    metadata: Mapping[str, str]

    async def reply(self, message: Any) -> None:
        await self.stream.send(encode(message))


Method = Callable[[Call], Awaitable[Any]]
"""Returns the last message to send, or None."""
Service = Mapping[str, Method]


def method(kind: type[R], handler: Callable[[R, Call], Awaitable[Any]]) -> Method:
    """A method whose one request is a `kind`."""

    async def answer(call: Call) -> Any:
        raw = await call.stream.receive()
        try:
            request = decode(kind, raw or b"")
        except Malformed as error:
            raise CallFailed(Code.INVALID_ARGUMENT, f"malformed {kind.__name__}: {error}") from None
        return await handler(request, call)

    return answer


def serving(service: Service) -> Callable[[Stream], Awaitable[None]]:
    """What answers every stream of a connection from `service`."""

    async def serve(stream: Stream) -> None:
        metadata = dict(stream.headers)
        path = metadata.get(":path", "")
        await stream.respond([(":status", "200"), ("content-type", "application/grpc")])
        status = Status()
        try:
            handler = service.get(path)
            if handler is None:
                raise CallFailed(Code.UNIMPLEMENTED, f"unknown method {path}")
            call = Call(stream, metadata)
            answer = await handler(call)
            if answer is not None:
                await call.reply(answer)
        except Gone:
            return
        except Exception as error:
            status = status_of(error)
        await stream.respond(_trailers(status), end=True)

    return serve


def status_of(error: Exception) -> Status:
    """How a failure is told; one that is no expected answer is logged, too."""
    if isinstance(error, CallFailed):
        return error.status
    if isinstance(error, Fault):
        return Status(Code.UNKNOWN, error.message)  # with any other code clients show that, too
    _log.error("call failed", exc_info=error)
    return Status(Code.UNKNOWN, f"riad: {type(error).__name__}: {error}")


def _trailers(status: Status) -> Headers:
    trailers = [("grpc-status", str(int(status.code)))]
    if status.message:
        trailers.append(("grpc-message", urllib.parse.quote(status.message, safe=_SAFE)))
    if status.details:
        trailers.append(("grpc-status-details-bin", base64.b64encode(encode(status)).decode().rstrip("=")))
    return trailers


class Client:
    """Calls to the other side of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(self, path: str, metadata: Headers | None = None) -> Stream:
        """Begins a call of any kind; end it with `result`."""
        return await self._connection.open(
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                (":authority", "localhost"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                *(metadata or []),
            ]
        )

    async def call(self, path: str, request: Any, kind: type[R], metadata: Headers | None = None) -> R:
        """One request, one answer. Raises CallFailed, Gone."""
        stream = await self.start(path, metadata)
        try:
            await stream.send(encode(request))
            await stream.finish()
            answer = await stream.receive()
            await self.result(stream)
        except asyncio.CancelledError:
            await self.abandon(stream)
            raise
        finally:
            self._connection.forget(stream)
        return decode(kind, answer or b"")

    async def result(self, stream: Stream) -> None:
        """Waits for the end of a call. Raises CallFailed with its status where that is not OK."""
        while await stream.receive() is not None:
            pass
        ends = dict(stream.trailers or stream.headers)
        code = int(ends.get("grpc-status", Code.UNKNOWN))
        if code != Code.OK:
            raise CallFailed(code, urllib.parse.unquote(ends.get("grpc-message", "the call failed without a reason")))

    async def abandon(self, stream: Stream) -> None:
        with suppress(ConnectionError):
            await stream.abandon()
