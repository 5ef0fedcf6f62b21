"""A tar stream becomes a `TarTree`: kept in one file, then hashed and indexed in one pass over it.

Compressed streams are recognised by their first bytes. Names that lead out of the tree, damaged archives and kinds of
entries that no context has are refused by name.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from riad.engine.build.tree import Extent, Kind, Node, TarTree
from riad.engine.images.compression import Compression, decompress, sniff
from riad.engine.images.tarstream import ForwardStream, members
from riad.kernel.faults import exhausted, invalid

_PIECE = 1 << 18
_XATTR = "SCHILY.xattr."


async def receive(pieces: AsyncIterator[bytes], file: Path) -> TarTree:
    """Reads the stream to its end into the new `file`. Raises INVALID for what is no archive."""
    try:
        with file.open("xb", buffering=_PIECE) as raw:
            async for piece in pieces:
                raw.write(piece)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise exhausted(f"no space left on the disk of {file.parent} for the build context") from None
        raise
    return await asyncio.to_thread(index_file, file)


def index_file(file: Path) -> TarTree:
    """The tree of an archive on disk, compressed or not; of a compressed one a plain copy is kept beside it."""
    with file.open("rb") as raw:
        if sniff(raw.read(6)) is Compression.NONE:
            raw.seek(0)
            return index(iter(lambda: raw.read(_PIECE), b""), file)
        raw.seek(0)
        plain = file.with_name(file.name + ".plain")
        with plain.open("xb") as copy:
            return index(_recorded(decompress(raw), copy.write), plain)


def index(pieces: Iterator[bytes], file: Path) -> TarTree:
    """The tree of the plain tar in `pieces`, which are the content of `file`."""
    tree = TarTree(file, {"": Node("", Kind.DIRECTORY, 0o755)}, {})
    padded = _Padded(pieces)
    stream = ForwardStream(iter(padded))
    for entry in members(stream):
        _take(entry, tree, stream)
    stream.finish()
    for path, extent in tree.extents.items():
        if path in tree.nodes and extent.offset + tree.nodes[path].size > padded.length:
            raise invalid(f"the archive ends in the middle of {path}")
    return tree


class _Padded:
    """Whole blocks from any end: the docker CLI does not pad a Dockerfile that it adds from elsewhere."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.length = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.length += len(piece)
            yield piece
        if self.length % tarfile.BLOCKSIZE:
            yield bytes(-self.length % tarfile.BLOCKSIZE)


def _recorded(pieces: Iterator[bytes], write: Callable[[bytes], object]) -> Iterator[bytes]:
    for piece in pieces:
        write(piece)
        yield piece


def _take(entry: tarfile.TarInfo, tree: TarTree, stream: ForwardStream) -> None:
    path = _clean(entry.name)
    if entry.isreg():
        if entry.sparse is not None:
            raise invalid(f"{entry.name}: sparse files in a build context are not supported; make the tar without -S")
        node = _node(path, Kind.FILE, entry)
        tree.extents[path] = Extent(entry.offset_data, _digest(stream, entry))
    elif entry.isdir():
        node = _node(path, Kind.DIRECTORY, entry)
    elif entry.issym():
        node = _node(path, Kind.LINK, entry)
    elif entry.islnk():
        node = _twin(path, entry, tree)
    elif entry.isfifo() or entry.isdev():
        node = _node(path, Kind.OTHER, entry)
    else:
        raise invalid(f"{entry.name}: archive entries of type {entry.type!r} are not supported")
    _add_parents(path, tree)
    if node.kind is not Kind.DIRECTORY:
        _forget_below(path, tree)
    tree.nodes[path] = node
    if xattrs := _xattrs(entry):
        tree.attributes[path] = xattrs


def _node(path: str, kind: Kind, entry: tarfile.TarInfo) -> Node:
    mode, device = stat.S_IMODE(entry.mode), 0
    if kind is Kind.OTHER:
        mode |= stat.S_IFIFO if entry.isfifo() else stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
        device = 0 if entry.isfifo() else _device(entry)
    return Node(
        path,
        kind,
        mode,
        entry.uid,
        entry.gid,
        int(entry.mtime * 1_000_000_000),
        entry.size if kind is Kind.FILE else 0,
        entry.linkname if kind is Kind.LINK else "",
        device=device,
    )


def _device(entry: tarfile.TarInfo) -> int:
    return os.makedev(entry.devmajor, entry.devminor)


def _twin(path: str, entry: tarfile.TarInfo, tree: TarTree) -> Node:
    target = tree.nodes.get(_clean(entry.linkname))
    if target is None or target.kind is not Kind.FILE:
        raise invalid(f"{entry.name} in the archive is a hard link to {entry.linkname}, which it lacks")
    tree.extents[path] = tree.extents[target.path]
    return Node(
        path,
        Kind.FILE,
        target.mode,
        target.uid,
        target.gid,
        target.mtime_ns,
        target.size,
        twin=target.twin or target.path,
    )


def _add_parents(path: str, tree: TarTree) -> None:
    parent = path.rpartition("/")[0]
    while parent and (found := tree.nodes.get(parent)) is None:
        tree.nodes[parent] = Node(parent, Kind.DIRECTORY, 0o755)
        parent = parent.rpartition("/")[0]
    if parent and found is not None and found.kind is not Kind.DIRECTORY:
        raise invalid(f"{path} in the archive is below {parent}, which is not a directory")


def _forget_below(path: str, tree: TarTree) -> None:
    before = tree.nodes.get(path)
    if before is not None and before.kind is Kind.DIRECTORY:
        for below in [known for known in tree.nodes if known.startswith(path + "/")]:
            del tree.nodes[below]


def _digest(stream: ForwardStream, entry: tarfile.TarInfo) -> str:
    state = hashlib.sha256()
    left = entry.size
    while left:
        piece = stream.some(min(left, _PIECE))
        if not piece:
            raise invalid(f"the archive ends in the middle of {entry.name}")
        state.update(piece)
        left -= len(piece)
    return state.hexdigest()


def _xattrs(entry: tarfile.TarInfo) -> dict[str, bytes]:
    return {
        key.removeprefix(_XATTR): value.encode("utf-8", "surrogateescape")
        for key, value in entry.pax_headers.items()
        if key.startswith(_XATTR) and not key.startswith(_XATTR + "trusted.")
    }


def _clean(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise invalid(f"{name} in the archive leads outside of it")
    return "/".join(parts)
