"""A tar stream read once, forwards, hashed as it goes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator

from riad.engine.images import tarheaders
from riad.engine.images.tarheaders import BLOCK
from riad.kernel.faults import invalid
from riad.oci.digest import Digest, from_hash

_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}


class ForwardStream:
    """Pieces of bytes as a file that can tell where it is and skip forwards. With `hashed`, every byte that passes is.

    `frame`, where given, is told all bytes but those that `some` handed out: what of a tar is not files' content.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        *,
        frame: Callable[[memoryview], object] | None = None,
        hashed: bool = True,
    ) -> None:
        self._pieces = pieces
        self._buffer = memoryview(b"")
        self._position = 0
        self._hash = hashlib.sha256()
        self._frame = frame
        self._hashed = hashed

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        distance = offset - self._position
        if whence or distance < 0:
            raise io.UnsupportedOperation("this stream is read once, forwards")
        while distance and (piece := self.framed(distance)):
            distance -= len(piece)
        return self._position

    def some(self, limit: int) -> memoryview:
        """At most `limit` bytes, without copying; empty only at the end."""
        if not self._buffer:
            data = next(self._pieces, b"")
            if self._hashed:
                self._hash.update(data)
            self._buffer = memoryview(data)
        piece, self._buffer = self._buffer[:limit], self._buffer[limit:]
        self._position += len(piece)
        return piece

    def read(self, size: int = -1) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        if size < 0:
            raise io.UnsupportedOperation("reading to the end would hold a layer in memory")
        first = self.framed(size)
        if len(first) == size or not first:
            return bytes(first)
        gathered = bytearray(first)
        while len(gathered) < size and (piece := self.framed(size - len(gathered))):
            gathered += piece
        return bytes(gathered)

    def finish(self) -> Digest:
        """Reads what is left and returns the digest of all that passed; `tell` is its size then."""
        while self.framed(1 << 20):
            pass
        return from_hash(self._hash)

    def framed(self, limit: int) -> memoryview:
        """As `some`, for what belongs to the frame."""
        piece = self.some(limit)
        if self._frame is not None and piece:
            self._frame(piece)
        return piece


def members(stream: ForwardStream) -> Iterator[tarfile.TarInfo]:
    """The entries in order; read an entry's content from `stream` before asking for the next. Raises INVALID."""
    for_next, for_all = b"", b""
    long: dict[str, str] = {}
    while (block := stream.read(BLOCK)) and block != tarheaders.EMPTY:
        entry = tarheaders.parse(block)
        if entry.type in _PAX:
            for_next = _extension(stream, entry)
        elif entry.type == tarfile.XGLTYPE:
            for_all += _extension(stream, entry)
        elif entry.type in _LONG:
            text = _extension(stream, entry).partition(b"\0")[0]
            long[_LONG[entry.type]] = text.decode("utf-8", "surrogateescape")
        else:
            records = dict(tarheaders.records(for_all)) | dict(tarheaders.records(for_next))
            tarheaders.finish(entry, long | records)
            end = _content(stream, entry, block, for_next)
            entry.offset_data = stream.tell()
            yield entry
            for_next, long = b"", {}
            if stream.seek(end + -end % BLOCK) < end:
                raise invalid(f"the archive ends in the middle of {entry.name}")


def _content(stream: ForwardStream, entry: tarfile.TarInfo, block: bytes, extended: bytes) -> int:
    """Where the entry's content ends; for a sparse file also sets its pieces and its whole size."""
    if entry.type == tarfile.GNUTYPE_SPARSE:
        pieces, size = tarheaders.gnu_sparse(block, stream.read)
        stored, end = entry.size, stream.tell() + entry.size
    else:
        end = stream.tell() + entry.size
        found = tarheaders.pax_sparse(extended, stream.read) if extended else None
        if found is None:
            return end
        pieces, size, name, used = found
        stored, entry.name = entry.size - used, name or entry.name
    tarheaders.check_pieces(pieces, size, stored, entry.name)
    entry.sparse, entry.size = pieces, size  # type: ignore[assignment]  # pairs, which its annotation does not say
    return end


def _extension(stream: ForwardStream, entry: tarfile.TarInfo) -> bytes:
    if entry.size > tarheaders.LARGEST_EXTENSION:
        raise invalid(f"the archive has an extended header of {entry.size} bytes")
    body = stream.read(entry.size)
    if len(body) < entry.size:
        raise invalid("the archive is damaged: it ends within a header")
    stream.seek(stream.tell() + -entry.size % BLOCK)
    return body
