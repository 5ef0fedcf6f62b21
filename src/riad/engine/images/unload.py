"""The members of an image archive, taken from its stream as they pass: layers unpacked at once, tables remembered.

The tables that say what the members are come last in most archives, so every member that looks like a layer is
unpacked under its member name; what no image turns out to need is forgotten. A layer that is known by its name
(`blobs/sha256/DIFF_ID`, `DIFF_ID.tar`) and is here already is skipped. Nothing is written but layers.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from riad.engine.images.compression import Compression, bounded, decompressed, layer_media_type, sniff
from riad.engine.images.layers import Arrival, Layers
from riad.engine.images.tarheaders import BLOCK, EMPTY
from riad.engine.images.tarstream import ForwardStream, members
from riad.kernel.faults import Fault, invalid
from riad.oci.digest import Digest, from_hash

_LARGEST_TABLE = 16 << 20
_ALL_TABLES = 256 << 20
_PIECE = 1 << 20
_DIGEST = re.compile(r"([0-9a-f]{64})(?:\.tar(?:\.gz)?)?")


@dataclass(frozen=True, slots=True)
class Taken:
    """A layer that came: unpacked, or why it is none. A compressed one with the file it came in, to be pushed again."""

    arrival: Arrival | None
    fault: Fault | None = None
    digest: Digest | None = None
    media_type: str = ""
    size: int = 0
    file: Path | None = None


@dataclass(slots=True)
class Unloaded:
    """By member name, normal form. `passing` is for whoever shows progress: name, bytes so far, bytes in all."""

    tables: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Taken] = field(default_factory=dict)
    here: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    passing: tuple[str, int, int] = ("", 0, 0)

    def resolved(self, name: str) -> str:
        """The member that `name` stands for: archives of old have links among them. Raises INVALID."""
        path = posixpath.normpath(name)
        for _ in range(8):
            if path not in self.links:
                return path
            path = self.links[path]
        raise invalid(f"{name} in the archive is a link that leads nowhere")

    def __contains__(self, name: str) -> bool:
        path = self.resolved(name)
        return path in self.tables or path in self.layers or path in self.here

    def table(self, name: str) -> bytes:
        """The content of a small member. Raises INVALID where the archive has none of that name."""
        found = self.tables.get(self.resolved(name))
        if found is None:
            raise invalid(f"the archive lacks {name}" if name not in self else f"{name} in the archive is no table")
        return found

    def discard(self, layers: Layers) -> None:
        """Forgets what arrived and was not kept. In a thread."""
        for taken in self.layers.values():
            if taken.arrival is not None:
                layers.discard(taken.arrival)
            if taken.file is not None:
                taken.file.unlink(missing_ok=True)


def unload(pieces: Iterator[bytes], layers: Layers, known: Collection[str], into: Unloaded) -> None:
    """Reads the whole archive, plain or compressed, in a thread. `known`: digests of layers that need not be unpacked.

    Raises INVALID for what is no tar, EXHAUSTED; what arrived so far is in `into` and to be discarded then.
    """
    stream = ForwardStream(decompressed(pieces), hashed=False)
    room = _ALL_TABLES
    for entry in members(stream):
        name = posixpath.normpath(entry.name)
        if entry.issym() or entry.islnk():
            base = posixpath.dirname(name) if entry.issym() else ""
            into.links[name] = posixpath.normpath(posixpath.join(base, entry.linkname))
        elif entry.isreg() and entry.sparse is None:
            into.links.pop(name, None)
            _member(stream, entry, name, layers=layers, known=known, into=into)
            room -= len(into.tables.get(name, b""))
            if room < 0:
                raise invalid(f"the archive has more than {_ALL_TABLES} bytes of tables: this is no image archive")
    stream.finish()
    if not into.tables and not into.layers and not into.here:
        raise invalid("the archive is empty or not a tar")


def _member(
    stream: ForwardStream, entry: tarfile.TarInfo, name: str, *, layers: Layers, known: Collection[str], into: Unloaded
) -> None:
    hint = _DIGEST.fullmatch(posixpath.basename(name))
    if hint is not None and f"sha256:{hint[1]}" in known:
        into.here.add(name)
        return
    content = _Content(stream, entry, name, into)
    head = content.peek(BLOCK)
    if not _looks_like_a_layer(head):
        if entry.size <= _LARGEST_TABLE:
            into.tables[name] = b"".join(content)
        return
    into.layers[name] = _layer(content, sniff(head), entry.size, layers)


def _looks_like_a_layer(head: bytes) -> bool:
    return sniff(head) is not Compression.NONE or head[257:262] == b"ustar" or head == EMPTY


def _layer(content: _Content, kind: Compression, size: int, layers: Layers) -> Taken:
    media_type = layer_media_type(kind) if kind is not Compression.NONE else None
    keeper = _Keeper(content, layers) if media_type is not None else None
    pieces = iter(keeper) if keeper is not None else iter(content)
    try:
        arrival = layers.unpack(bounded(decompressed(pieces), size), framed=keeper is None)
        for _ in pieces:
            pass
    except Fault as fault:
        # Perhaps no layer at all; only an image that needs it makes that an error.
        content.skip()
        if keeper is not None:
            keeper.close()
            keeper.file.unlink(missing_ok=True)
        return Taken(None, fault)
    if keeper is None:
        return Taken(arrival, size=size)
    keeper.close()
    return Taken(arrival, None, keeper.digest(), media_type or "", size, keeper.file)


class _Content:
    """The content of one member, in pieces."""

    def __init__(self, stream: ForwardStream, entry: tarfile.TarInfo, name: str, into: Unloaded) -> None:
        self._stream = stream
        self._entry = entry
        self._left = entry.size
        self._name = name
        self._into = into
        self._head = b""

    def peek(self, size: int) -> bytes:
        self._head = self._stream.read(min(size, self._left))
        self._left -= len(self._head)
        return self._head

    def __iter__(self) -> Iterator[bytes]:
        if self._head:
            head, self._head = self._head, b""
            yield head
        while self._left:
            piece: Any = self._stream.some(min(_PIECE, self._left))  # a view of bytes
            if not piece:
                raise invalid(f"the archive ends in the middle of {self._name}")
            self._left -= len(piece)
            self._into.passing = self._name, self._entry.size - self._left, self._entry.size
            yield piece

    def skip(self) -> None:
        while self._left and (piece := self._stream.some(min(_PIECE, self._left))):
            self._left -= len(piece)


class _Keeper:
    """Writes a compressed layer to a file as it is read, for a later push of the same bytes."""

    def __init__(self, content: _Content, layers: Layers) -> None:
        handle, name = tempfile.mkstemp(prefix="load-", dir=layers.incoming)
        self.file = Path(name)
        self._target = os.fdopen(handle, "wb")
        self._hash = hashlib.sha256()
        self._pieces = self._read(content)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def _read(self, content: _Content) -> Iterator[bytes]:
        for piece in content:
            self._hash.update(piece)
            self._target.write(piece)
            yield piece

    def close(self) -> None:
        self._target.close()

    def digest(self) -> Digest:
        return from_hash(self._hash)
