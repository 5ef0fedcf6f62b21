"""A tar stream read once, forwards, hashed as it goes: what `tarfile` needs of a file and no more."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from typing import Any

from riad.kernel.faults import invalid
from riad.oci.digest import Digest, from_hash


class ForwardStream:
    """Pieces of bytes as a file that can tell where it is and skip forwards. Every byte that passes is hashed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = memoryview(b"")
        self._position = 0
        self._hash = hashlib.sha256()

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        distance = offset - self._position
        if whence or distance < 0:
            raise io.UnsupportedOperation("this stream is read once, forwards")
        while distance and (piece := self.some(distance)):
            distance -= len(piece)
        return self._position

    def some(self, limit: int) -> memoryview:
        """At most `limit` bytes, without copying; empty only at the end."""
        if not self._buffer:
            data = next(self._pieces, b"")
            self._hash.update(data)
            self._buffer = memoryview(data)
        piece, self._buffer = self._buffer[:limit], self._buffer[limit:]
        self._position += len(piece)
        return piece

    def read(self, size: int = -1) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        if size < 0:
            raise io.UnsupportedOperation("reading to the end would hold a layer in memory")
        first = self.some(size)
        if len(first) == size or not first:
            return bytes(first)
        gathered = bytearray(first)
        while len(gathered) < size and (piece := self.some(size - len(gathered))):
            gathered += piece
        return bytes(gathered)

    def finish(self) -> Digest:
        """Reads what is left and returns the digest of all that passed; `tell` is its size then."""
        while self.some(1 << 20):
            pass
        return from_hash(self._hash)


def members(stream: ForwardStream) -> Iterator[tarfile.TarInfo]:
    """The entries in order; read an entry's content from `stream` before asking for the next. Raises INVALID."""
    file: Any = stream  # tarfile asks for less than its annotations say
    try:
        with tarfile.open(fileobj=file, mode="r:", tarinfo=_Entry) as archive:
            while (entry := archive.next()) is not None:
                # tarfile remembers every entry for random access, which nobody here wants.
                vars(archive)["members"].clear()
                yield entry
    except tarfile.ReadError as error:
        if stream.tell() == 0:
            return  # nothing at all: an empty layer
        raise invalid(f"the archive is damaged: {error}") from None


class _Entry(tarfile.TarInfo):
    """tarfile takes a damaged header in the middle for the end of the archive; here it is an error."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Entry:
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
            raise
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise invalid(f"the archive is damaged: {error}") from None
