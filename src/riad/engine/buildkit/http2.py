"""HTTP/2 over a raw connection, in either role: streams of gRPC messages (RFC 9113; gRPC over HTTP/2, "Requests").

The state of connection and streams is h2's. Only the payload of incoming DATA frames goes past it, straight to its
stream: a context of twenty thousand files comes as so many small frames, each of which costs h2 more than everything
else done with it. Hence the windows of what comes in are kept here, those of what goes out by h2.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_DATA, _WINDOW_UPDATE = 0, 8
_END_STREAM, _PADDED = 1, 8
_HEAD = 9
_WINDOW = 4 * 2**20
_LARGEST_MESSAGE = 128 * 2**20
_CANCEL = 8

Headers = list[tuple[str, str]]


class Gone(ConnectionError):  # noqa: N818 -- read as a predicate
    """The other side has closed the connection or given the stream up."""


class Wire(Protocol):
    """A connection taken over from HTTP/1."""

    async def read(self, limit: int = 65536) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def close(self) -> None: ...


class Stream:
    """One call. Messages come whole; the headers and trailers of the other side as they are."""

    def __init__(self, connection: Connection, number: int, headers: Headers) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._messages: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._unacknowledged = 0
        self._ended = False
        self._failure: Gone | None = None
        self.number = number
        self.headers = headers
        self.trailers: Headers = []
        self.room = asyncio.Event()

    async def receive(self) -> bytes | None:
        """The next message; None after the last. Raises Gone."""
        while not self._messages:
            if not await self._waited():
                return None
        return self._taken([self._messages.popleft()])[0]

    async def receive_some(self) -> list[bytes]:
        """All messages that are there, at least one; empty after the last. Raises Gone."""
        while not self._messages:
            if not await self._waited():
                return []
        found = list(self._messages)
        self._messages.clear()
        return self._taken(found)

    async def send(self, *messages: bytes) -> None:
        """Raises Gone."""
        await self._connection.send(self, b"".join(struct.pack(">xI", len(m)) + m for m in messages))

    async def respond(self, headers: Headers, *, end: bool = False) -> None:
        """Headers or trailers. Raises Gone."""
        await self._connection.headers(self, headers, end=end)

    async def finish(self) -> None:
        """Says that no more messages come from here."""
        await self._connection.end(self)

    async def abandon(self) -> None:
        """Gives the stream up; nothing of it is read any more."""
        await self._connection.reset(self)

    @property
    def failure(self) -> Gone | None:
        return self._failure

    def deliver(self, payload: bytes) -> None:
        if not self._buffer and len(payload) >= 5 and int.from_bytes(payload[1:5], "big") == len(payload) - 5:
            self._messages.append(payload[5:])
        else:
            self._buffer += payload
            self._cut()
        self._unacknowledged += len(payload)
        if self._messages:
            self._news.set()
        else:
            self._acknowledge()

    def _cut(self) -> None:
        at = 0
        while len(self._buffer) - at >= 5:
            size = int.from_bytes(self._buffer[at + 1 : at + 5], "big")
            if self._buffer[at] or size > _LARGEST_MESSAGE:
                self.fail("a message that is compressed or too large")
                return
            if len(self._buffer) - at - 5 < size:
                break
            self._messages.append(bytes(self._buffer[at + 5 : at + 5 + size]))
            at += 5 + size
        del self._buffer[:at]

    def headed(self, headers: Headers) -> None:
        """The other side's answer begins, or its trailers came."""
        if self.headers:
            self.trailers = headers
        else:
            self.headers = headers
        self._news.set()

    def ended(self) -> None:
        self._ended = True
        self._news.set()

    def fail(self, why: str) -> None:
        if not self._ended:
            self._failure = Gone(why)
        self._news.set()
        self.room.set()

    async def _waited(self) -> bool:
        """Waits for something new; False when nothing more comes."""
        if self._failure is not None:
            raise self._failure
        if self._ended:
            return False
        self._news.clear()
        await self._news.wait()
        return True

    def _taken(self, messages: list[bytes]) -> list[bytes]:
        if not self._messages:
            self._acknowledge()
        return messages

    def _acknowledge(self) -> None:
        """Lets more come while nothing waits to be read, so that a message may be larger than the window."""
        if self._unacknowledged >= _WINDOW // 4 and not self._ended:
            self._connection.widen(self.number, self._unacknowledged)
            self._unacknowledged = 0


class Connection:
    """`serve` answers the streams that the other side opens; without it we are the client. `run` it in a task."""

    def __init__(self, wire: Wire, serve: Callable[[Stream], Awaitable[None]] | None = None) -> None:
        self._wire = wire
        self._serve = serve
        self._h2 = H2Connection(H2Configuration(client_side=serve is None, header_encoding="utf-8"))
        self._h2.initiate_connection()  # goes out before anything else, whoever flushes first
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW})
        self._h2.increment_flow_control_window(_WINDOW * 4)
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: dict[int, asyncio.Task[None]] = {}
        self._received = 0
        self._closed = False
        self._urgent = bytearray()

    async def run(self) -> None:
        """Carries the connection until one side ends it; then every stream has ended or failed."""
        buffer = bytearray()
        try:
            await self._flush()
            if self._serve is not None:
                buffer += await self._preface()
            while not self._closed:
                for event in self._events(buffer):
                    self._happened(event)
                await self._flush()
                piece = await self._wire.read(1 << 18)
                if not piece:
                    break
                buffer += piece
        except (ConnectionError, ProtocolError):
            pass
        finally:
            await self._over()

    async def open(self, headers: Headers) -> Stream:
        """A new stream to the other side. Raises Gone."""
        if self._closed:
            raise Gone("the connection is closed")
        stream = Stream(self, self._h2.get_next_available_stream_id(), [])
        self._streams[stream.number] = stream
        await self.headers(stream, headers)
        return stream

    async def headers(self, stream: Stream, headers: Headers, *, end: bool = False) -> None:
        with _as_gone():
            self._check(stream)
            self._h2.send_headers(stream.number, headers, end_stream=end)
            await self._flush()

    async def send(self, stream: Stream, payload: bytes) -> None:
        at = 0
        with _as_gone():
            while at < len(payload):
                self._check(stream)
                window = self._h2.local_flow_control_window(stream.number)
                size = min(window, self._h2.max_outbound_frame_size, len(payload) - at)
                if size <= 0:
                    stream.room.clear()
                    await self._flush()
                    await stream.room.wait()
                    continue
                self._h2.send_data(stream.number, payload[at : at + size])
                at += size
                await self._flush()

    async def end(self, stream: Stream) -> None:
        with _as_gone():
            self._check(stream)
            self._h2.end_stream(stream.number)
            await self._flush()

    async def reset(self, stream: Stream) -> None:
        if self._streams.pop(stream.number, None) is not None and not self._closed:
            with suppress(ProtocolError, ConnectionError):
                self._h2.reset_stream(stream.number, _CANCEL)
                await self._flush()

    async def close(self) -> None:
        """Ends the connection from here."""
        if not self._closed:
            self._closed = True
            with suppress(ProtocolError, ConnectionError):
                self._h2.close_connection()
                await self._flush()
            await self._wire.close()

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream.number, None)

    def widen(self, number: int, size: int) -> None:
        """Lets the other side send so many bytes more; goes out with the next flush, at the latest after reading."""
        self._urgent += b"\x00\x00\x04\x08\x00" + struct.pack(">II", number, size)
        if not self._closed:
            task = asyncio.ensure_future(self._flush_quietly())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _check(self, stream: Stream) -> None:
        if stream.failure is not None:
            raise stream.failure
        if self._closed:
            raise Gone("the connection is closed")

    async def _preface(self) -> bytes:
        head = b""
        while len(head) < _PREFACE:
            piece = await self._wire.read(1 << 16)
            if not piece:
                raise Gone("the client left before it began")
            head += piece
        self._h2.receive_data(head[:_PREFACE])
        return head[_PREFACE:]

    def _events(self, buffer: bytearray) -> Iterator[Event]:
        """Takes whole frames off the buffer; DATA goes to its stream, the rest through h2."""
        at = 0
        while len(buffer) - at >= _HEAD:
            size = int.from_bytes(buffer[at : at + 3], "big")
            end = at + _HEAD + size
            if len(buffer) < end:
                break
            if buffer[at + 3] == _DATA:
                flags, number = buffer[at + 4], int.from_bytes(buffer[at + 5 : at + _HEAD], "big")
                self._data(number, flags, bytes(buffer[at + _HEAD : end]))
                if flags & _END_STREAM:
                    yield from self._h2.receive_data(b"\x00\x00\x00\x00\x01" + number.to_bytes(4, "big"))
            else:
                yield from self._h2.receive_data(bytes(buffer[at:end]))
            at = end
        del buffer[:at]

    def _data(self, number: int, flags: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received >= _WINDOW:
            self._urgent += b"\x00\x00\x04\x08\x00" + struct.pack(">II", 0, self._received)
            self._received = 0
        if flags & _PADDED and payload:
            payload = payload[1 : len(payload) - payload[0]]
        stream = self._streams.get(number)
        if stream is not None and payload:
            stream.deliver(payload)

    def _happened(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._accepted(Stream(self, event.stream_id, _plain(event.headers)))
            case ResponseReceived() | TrailersReceived():
                if stream := self._streams.get(event.stream_id):
                    stream.headed(_plain(event.headers))
            case StreamEnded():
                if stream := self._streams.get(event.stream_id):
                    stream.ended()
            case StreamReset():
                if stream := self._streams.pop(event.stream_id, None):
                    stream.fail("the other side gave the call up")
                if task := self._serving.pop(event.stream_id, None):
                    task.cancel()
            case WindowUpdated() | RemoteSettingsChanged():
                for stream in self._streams.values():
                    stream.room.set()
            case ConnectionTerminated():
                self._closed = True

    def _accepted(self, stream: Stream) -> None:
        assert self._serve is not None
        self._streams[stream.number] = stream
        task = asyncio.ensure_future(self._served(stream))
        self._tasks.add(task)
        self._serving[stream.number] = task
        task.add_done_callback(self._tasks.discard)

    async def _served(self, stream: Stream) -> None:
        assert self._serve is not None
        with suppress(ConnectionError):
            await self._serve(stream)
        self._serving.pop(stream.number, None)
        self.forget(stream)

    async def _flush(self) -> None:
        out = bytes(self._urgent) + self._h2.data_to_send()
        self._urgent.clear()
        if out:
            await self._wire.write(out)

    async def _flush_quietly(self) -> None:
        with suppress(ConnectionError):
            await self._flush()

    async def _over(self) -> None:
        self._closed = True
        for stream in self._streams.values():
            stream.fail("the connection was closed")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._wire.close()


class _as_gone:  # noqa: N801 -- a context manager, used as a phrase
    """What h2 says of a stream or connection that has ended meanwhile, as Gone."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, ProtocolError):
            raise Gone(str(error)) from None


def _plain(headers: Iterable[tuple[str | bytes, str | bytes]] | None) -> Headers:
    return [(_str(name), _str(value)) for name, value in headers or ()]


def _str(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
