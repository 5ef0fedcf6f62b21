"""Where COPY and ADD read from: one small port over a build context kept as a tar, and over directories.

A context is never unpacked: its tar lies in one file, and an index says where each file's bytes are. Twenty thousand
files then cost neither inodes nor their removal, and a build that finds everything in the cache reads nothing again.

Paths are relative to the tree's root, with slashes, "" being the root itself. Symbolic links are resolved here, never
by the kernel, with the root as `/`: no link can lead out.
"""

from __future__ import annotations

import enum
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from riad.dockerfile.ignore import IgnoreFile, Pattern
from riad.kernel.faults import invalid

_LINKS_AT_MOST = 40
_PIECE = 1 << 20


class Kind(enum.Enum):
    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Node:
    """`mode` holds the permission bits, and for OTHER also the type's; `link` is a symbolic link's text.

    `twin` is the path of the file that this one is a hard link of, in trees that say so.
    """

    path: str
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    link: str = ""
    twin: str = ""
    device: int = 0


class Tree(Protocol):
    """Reading may happen in any thread, several at once. `ignored` are the known paths that `ignore` took out."""

    @property
    def ignore(self) -> IgnoreFile: ...

    @property
    def ignored(self) -> Mapping[str, Pattern]: ...

    def lstat(self, path: str) -> Node | None:
        """The node at `path`, whose parents are no links; None where there is none."""

    def children(self, path: str) -> list[str]:
        """The names in a directory, sorted."""

    def digest(self, node: Node) -> str:
        """Of a regular file's content."""

    def copy_data(self, node: Node, descriptor: int) -> None:
        """Writes a regular file's content to the (empty) open file."""

    def xattrs(self, node: Node) -> Mapping[str, bytes]: ...


def resolve(tree: Tree, path: str, *, follow_last: bool = True) -> Node | None:
    """The node that `path` leads to, links followed inside the tree. Raises INVALID for a circle of links."""
    waiting = [part for part in reversed(path.split("/")) if part and part != "."]
    at = ""
    node = tree.lstat("")
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            at = posixpath.dirname(at)
            continue
        step = posixpath.join(at, part)
        node = tree.lstat(step)
        if node is None:
            return None
        if node.kind is Kind.LINK and (waiting or follow_last):
            links += 1
            if links > _LINKS_AT_MOST:
                raise invalid(f"{path}: too many levels of symbolic links")
            at = "" if node.link.startswith("/") else at
            waiting.extend(part for part in reversed(node.link.split("/")) if part and part != ".")
            continue
        if waiting and node.kind is not Kind.DIRECTORY:
            return None
        at = step
    return tree.lstat(at) if node is None or node.path != at else node


def walk(tree: Tree, top: Node) -> Iterator[tuple[str, Node]]:
    """`top` and everything below it, parents first, in the order of names; paths are relative to `top`."""
    yield "", top
    if top.kind is not Kind.DIRECTORY:
        return
    waiting = [(name, posixpath.join(top.path, name)) for name in reversed(tree.children(top.path))]
    while waiting:
        relative, path = waiting.pop()
        node = tree.lstat(path)
        if node is None:
            continue
        yield relative, node
        if node.kind is Kind.DIRECTORY:
            waiting.extend((f"{relative}/{name}", f"{path}/{name}") for name in reversed(tree.children(path)))


class DirectoryTree:
    """A directory of the host, such as a mounted image."""

    ignore = IgnoreFile(())
    ignored: Mapping[str, Pattern] = MappingProxyType({})

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = os.fspath(root)

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def lstat(self, path: str) -> Node | None:
        try:
            status = os.lstat(self._path(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        kind = _kind(status.st_mode)
        return Node(
            path,
            kind,
            status.st_mode if kind is Kind.OTHER else stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns,
            status.st_size,
            os.readlink(self._path(path)) if kind is Kind.LINK else "",
            device=status.st_rdev,
        )

    def children(self, path: str) -> list[str]:
        return sorted(os.listdir(self._path(path)))

    def digest(self, node: Node) -> str:
        with open(self._path(node.path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def copy_data(self, node: Node, descriptor: int) -> None:
        with open(self._path(node.path), "rb", buffering=0) as file:
            send(file.fileno(), 0, node.size, descriptor)

    def xattrs(self, node: Node) -> Mapping[str, bytes]:
        path = self._path(node.path)
        names = [name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith("trusted.")]
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a file's bytes are in the tar, and their digest."""

    offset: int
    digest: str


@dataclass(slots=True)
class TarTree:
    """A tar in one file with its index. `ignored` are the paths that `ignore` took out, with the reason."""

    file: Path
    nodes: dict[str, Node]
    extents: dict[str, Extent]
    attributes: dict[str, dict[str, bytes]] = field(default_factory=dict)
    ignore: IgnoreFile = field(default_factory=lambda: IgnoreFile(()))
    ignored: dict[str, Pattern] = field(default_factory=dict)
    _children: dict[str, list[str]] = field(default_factory=dict)

    def lstat(self, path: str) -> Node | None:
        return self.nodes.get(path)

    def children(self, path: str) -> list[str]:
        if not self._children:
            for known in self.nodes:
                if known:
                    parent, _, name = known.rpartition("/")
                    self._children.setdefault(parent, []).append(name)
            for names in self._children.values():
                names.sort()
        return self._children.get(path, [])

    def digest(self, node: Node) -> str:
        return self.extents[node.path].digest

    def copy_data(self, node: Node, descriptor: int) -> None:
        with open(self.file, "rb", buffering=0) as file:
            send(file.fileno(), self.extents[node.path].offset, node.size, descriptor)

    def read(self, node: Node) -> bytes:
        with open(self.file, "rb", buffering=0) as file:
            return os.pread(file.fileno(), node.size, self.extents[node.path].offset)

    def xattrs(self, node: Node) -> Mapping[str, bytes]:
        return self.attributes.get(node.path, {})

    def without(self, ignore: IgnoreFile) -> TarTree:
        """What `ignore` leaves; a folder stays where something in it does."""
        if not ignore.patterns:
            return self
        kept: dict[str, Node] = {"": self.nodes[""]}
        ignored: dict[str, Pattern] = {}
        for path, node in self.nodes.items():
            pattern = ignore.deciding(path) if path else None
            if pattern is not None:
                ignored[path] = pattern
                continue
            kept[path] = node
            parent = posixpath.dirname(path)
            while parent and parent not in kept:
                kept[parent] = self.nodes[parent]
                parent = posixpath.dirname(parent)
        kept = {path: replace(node, twin="") if node.twin not in kept else node for path, node in kept.items()}
        return TarTree(self.file, kept, self.extents, self.attributes, ignore, ignored)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.DIRECTORY
    return Kind.LINK if stat.S_ISLNK(mode) else Kind.OTHER


def send(source: int, offset: int, size: int, target: int) -> None:
    while size > 0:
        sent = os.sendfile(target, source, offset, min(size, _PIECE * 64))
        if not sent:
            raise invalid("a file of the build's source became shorter while it was copied")
        offset += sent
        size -= sent
