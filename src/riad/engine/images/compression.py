"""Compressed streams: told apart by their first bytes, read in bounded pieces, and gzip written on all cores.

What Riad compresses is cut into blocks of a mebibyte, each a gzip member of its own (RFC 1952 allows a sequence of
members; every registry client reads them). So blocks can be compressed side by side, and the result depends only on the
content: the same layer always gives the same compressed digest.
"""

from __future__ import annotations

import bz2
import enum
import lzma
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO

from riad.engine.images import zstd
from riad.kernel.faults import invalid
from riad.oci import media

CHUNK = 262144
_BLOCK = 1024 * 1024
_LEVEL = 4
_SAMPLE = 8192
_GZIP_FORMAT = 31  # zlib's window bits for a gzip wrapper
_LARGEST_RATIO = 1100
_HARMLESS = 1 << 30

# ISA-L inflates two to three times as fast as zlib, on the machines that it is made for.
_inflater: Callable[[int], Any] = zlib.decompressobj
_INFLATE_ERRORS: tuple[type[BaseException], ...] = (zlib.error,)
with suppress(ImportError):
    from isal import isal_zlib

    isal_error: Any = isal_zlib.error  # its stubs say an instance
    _inflater, _INFLATE_ERRORS = isal_zlib.decompressobj, (isal_error,)


class Compression(enum.Enum):
    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"


_MAGIC = {
    b"\x1f\x8b": Compression.GZIP,
    b"\x28\xb5\x2f\xfd": Compression.ZSTD,
    b"BZh": Compression.BZIP2,
    b"\xfd7zXZ\x00": Compression.XZ,
}


def sniff(head: bytes) -> Compression:
    """What the first bytes say; zstd's skippable frames (0x184D2A5?) count as zstd."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return Compression.ZSTD
    return Compression.NONE


def layer_media_type(kind: Compression) -> str | None:
    """The media type under which a layer compressed so may be pushed; None where registries know none."""
    return {
        Compression.NONE: media.OCI_LAYER,
        Compression.GZIP: media.DOCKER_LAYER_GZIP,
        Compression.ZSTD: media.OCI_LAYER_ZSTD,
    }.get(kind)


def decompress(source: BinaryIO) -> Iterator[bytes]:
    """The content of `source`, read from where it is, in pieces. Raises INVALID for damaged data."""
    return decompressed(iter(lambda: source.read(CHUNK), b""))


def decompressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """As `decompress`, of bytes that come in pieces of any size."""
    source = Incoming(pieces)
    kind = sniff(source.peek(8))
    file: Any = source  # the library only reads it
    if kind is Compression.GZIP:
        return _gunzip(source)
    if kind is Compression.ZSTD:
        return zstd.decompress(source)
    if kind is Compression.BZIP2:
        return _unwrap(bz2.BZ2File(file), kind)
    if kind is Compression.XZ:
        return _unwrap(lzma.LZMAFile(file), kind)
    return source.rest()


def bounded(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """`pieces`, unpacked from `size` bytes. Raises INVALID for a bomb: zeros shrink to a thousandth at most by gzip."""
    limit = max(_HARMLESS, size * _LARGEST_RATIO)
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise invalid(f"{size} compressed bytes unpack to more than {limit}: this is taken for a bomb")
        yield piece


class Incoming:
    """Pieces as a file that is only read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._ready = memoryview(b"")

    def peek(self, size: int) -> bytes:
        """The first `size` bytes, fewer only where there are no more; they are read again."""
        while len(self._ready) < size and (piece := next(self._pieces, b"")):
            self._ready = memoryview(bytes(self._ready) + piece)
        return bytes(self._ready[:size])

    def rest(self) -> Iterator[bytes]:
        """All that is left, as it comes."""
        if self._ready:
            yield bytes(self._ready)
        yield from self._pieces

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, as many as are at hand; nothing only at the end."""
        while not self._ready:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._ready = memoryview(piece)
        found = self._ready if size < 0 else self._ready[:size]
        self._ready = self._ready[len(found) :]
        return bytes(found)


def _gunzip(source: Incoming) -> Iterator[bytes]:
    machine, inside = _inflater(_GZIP_FORMAT), False
    try:
        while data := source.read(CHUNK):
            while data:
                inside = True
                if piece := machine.decompress(data, 4 * CHUNK):
                    yield piece
                if machine.eof:
                    # Writers may pad with zeros after the last member.
                    data = machine.unused_data.lstrip(b"\0")
                    machine, inside = _inflater(_GZIP_FORMAT), False
                else:
                    data = machine.unconsumed_tail
    except _INFLATE_ERRORS as error:
        raise invalid(f"gzip data is damaged: {error}") from None
    if inside:
        raise invalid("gzip data ends before its end mark")


def _unwrap(file: bz2.BZ2File | lzma.LZMAFile, kind: Compression) -> Iterator[bytes]:
    try:
        while piece := file.read(CHUNK):
            yield piece
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise invalid(f"{kind.value} data is damaged: {error}") from None


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces` as a sequence of gzip members, compressed on as many cores as there are, in order."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers, thread_name_prefix="gzip") as pool:
        waiting: deque[Future[bytes]] = deque()
        for block in _blocks(pieces):
            waiting.append(pool.submit(_member, block))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _member(block: bytes) -> bytes:
    machine = zlib.compressobj(_LEVEL if _shrinks(block) else 0, zlib.DEFLATED, _GZIP_FORMAT)
    return machine.compress(block) + machine.flush()


def _shrinks(block: bytes) -> bool:
    """Whether three samples do: what is compressed already (wheels, archives, pictures) is only packed again."""
    starts = {0, len(block) // 2, max(0, len(block) - _SAMPLE)}
    samples = [block[start : start + _SAMPLE] for start in sorted(starts)]
    return any(len(zlib.compress(sample, 1)) < 0.97 * len(sample) for sample in samples) or len(block) < _SAMPLE


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    gathered, size = bytearray(), 0
    for piece in pieces:
        gathered += piece
        size += len(piece)
        while len(gathered) >= _BLOCK:
            yield bytes(gathered[:_BLOCK])
            del gathered[:_BLOCK]
    if gathered or not size:
        yield bytes(gathered)
