"""The exact tar of a layer without keeping its files twice: its frame (headers, padding) is kept, its content read from
the layer's directory.

A stranger's tar cannot be made anew from the files: order, formats and padding are its writer's. But all that is not
content is a few percent of it. A folder holds `frame`, the bytes; `table`, a record per run of frame bytes or per
content, in the tar's order; and what an archive wrote and then replaced, under numbers.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from riad.engine.images.beneath import Directories, open_directory
from riad.kernel.faults import Fault, Kind

_RECORD = struct.Struct(">cHQ")  # what it is, the length of its path, its length in bytes
_FRAME, _FILE, _RESCUED = b"r", b"f", b"s"
_PIECE = 1 << 20


class Frames:
    """Written while a layer is unpacked, in a thread. `folder` is made; `close` before it is used."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self._file = (folder / "frame").open("wb", buffering=_PIECE)
        self._run = 0
        self._table: list[tuple[bytes, bytes, int]] = []
        self.rescued = 0
        """How many contents were replaced within the archive."""

    def raw(self, piece: memoryview) -> None:
        self._file.write(piece)
        self._run += len(piece)

    def content(self, path: bytes, size: int) -> None:
        self._end_run()
        self._table.append((_FILE, path, size))

    def rescue(self, path: bytes, root: int) -> None:
        """Keeps what of `path` and below was written already and is about to be replaced."""
        below = path + b"/"
        for place, (kind, known, size) in enumerate(self._table):
            if kind == _FILE and (known == path or known.startswith(below)):
                at, name = _opened_parent(root, known)
                try:
                    os.link(name, self.folder / str(self.rescued), src_dir_fd=at, follow_symlinks=False)
                finally:
                    os.close(at)
                self._table[place] = (_RESCUED, b"%d" % self.rescued, size)
                self.rescued += 1

    def close(self) -> None:
        self._end_run()
        self._file.close()
        with (self.folder / "table").open("wb") as file:
            for kind, path, size in self._table:
                file.write(_RECORD.pack(kind, len(path), size) + path)

    def _end_run(self) -> None:
        if self._run:
            self._table.append((_FRAME, b"", self._run))
            self._run = 0


def assemble(folder: Path, layer: Path) -> Iterator[bytes]:
    """The tar in pieces. Raises INTERNAL where a file of the layer is not what it was."""
    root = os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    directories = Directories(root)
    try:
        with (folder / "frame").open("rb") as frame:
            for kind, path, size in _records((folder / "table").read_bytes()):
                if kind == _FRAME:
                    yield frame.read(size)
                    continue
                yield from _content(directories, folder, kind, path, size)
    except OSError as error:
        raise Fault(Kind.INTERNAL, f"a file of the layer {layer} is missing: {error}") from error
    finally:
        directories.forget()
        os.close(root)


def _content(directories: Directories, folder: Path, kind: bytes, path: bytes, size: int) -> Iterator[bytes]:
    if kind == _RESCUED:
        descriptor = os.open(folder / os.fsdecode(path), os.O_RDONLY | os.O_CLOEXEC)
    else:
        parent, _, name = path.rpartition(b"/")
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(name, flags, dir_fd=directories.find(parent))
    try:
        while size:
            piece = os.read(descriptor, min(size, _PIECE))
            if not piece:
                raise Fault(Kind.INTERNAL, f"{os.fsdecode(path)} of a layer is shorter than it was")
            size -= len(piece)
            yield piece
    finally:
        os.close(descriptor)


def _records(table: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    at = 0
    while at < len(table):
        kind, length, size = _RECORD.unpack_from(table, at)
        at += _RECORD.size + length
        yield kind, table[at - length : at], size


def _opened_parent(root: int, path: bytes) -> tuple[int, bytes]:
    parent, _, name = path.rpartition(b"/")
    return open_directory(root, parent), name
