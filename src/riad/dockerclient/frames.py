"""The multiplexed stream of attach, exec and logs without a terminal (Docker Engine API, "Stream format").

Frames are `[kind, 0, 0, 0, length as big-endian uint32]` and `length` bytes; kinds: 0 stdin, 1 stdout, 2 stderr,
3 the engine's own error. A chunk is handed on as soon as bytes of it arrive: a frame may be as long as it likes.
With a terminal there are no frames: everything is stdout. Pure.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from riad.kernel.faults import Fault, Kind

_HEADER = struct.Struct(">BxxxI")


class Stream(enum.StrEnum):
    STDIN = "stdin"
    STDOUT = "stdout"
    STDERR = "stderr"
    SYSTEM = "system"


_KINDS = (Stream.STDIN, Stream.STDOUT, Stream.STDERR, Stream.SYSTEM)


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Some bytes that a container wrote; not aligned to lines."""

    stream: Stream
    data: bytes


class Demultiplexer:
    """Takes bytes as they come, gives chunks."""

    def __init__(self, *, framed: bool) -> None:
        self._framed = framed
        self._buffer = bytearray()
        self._stream = Stream.STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[LogChunk]:
        """Raises INTERNAL where the stream is not made of frames."""
        if not self._framed:
            if data:
                yield LogChunk(Stream.STDOUT, data)
            return
        self._buffer += data
        while self._buffer:
            if not self._left and not self._take_header():
                return
            piece = bytes(self._buffer[: self._left])
            del self._buffer[: len(piece)]
            self._left -= len(piece)
            if piece:
                yield LogChunk(self._stream, piece)

    def _take_header(self) -> bool:
        if len(self._buffer) < _HEADER.size:
            return False
        kind, length = _HEADER.unpack_from(self._buffer)
        if kind >= len(_KINDS):
            raise Fault(Kind.INTERNAL, f"the container engine sent a frame of unknown kind {kind}")
        del self._buffer[: _HEADER.size]
        self._stream, self._left = _KINDS[kind], length
        return True


def frame(stream: Stream, data: bytes) -> bytes:
    """One frame, as an engine sends it."""
    return _HEADER.pack(_KINDS.index(stream), len(data)) + data
