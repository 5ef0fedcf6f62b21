"""Contexts that come file by file: what is known of a client's folder from earlier builds, and the files' contents.

A folder is remembered by the key that its client gives it: for every entry, exactly as it was announced, its node and
where its content is. An entry announced again in the same bytes (path, mode, size, time) needs neither reading nor
sending. Contents lie in a few pack files, many small ones after each other: they cost no inode each, and no removal.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from riad.dockerfile.ignore import IgnoreFile, Pattern
from riad.engine.build.tree import Kind, Node, send

_REMEMBERED = 8
"""Folders that are kept in memory."""
_FOLDERS = 64
"""Folders that are kept at all."""
_FORMAT = 1
EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """A regular file's bytes: their digest, and where they are. `pack` is "" for an empty file."""

    digest: str
    pack: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder; `content` of regular files only."""

    node: Node
    content: Content | None = None
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class ReceivedTree:
    """A context's files by path; "" is the root."""

    root: Path
    entries: dict[str, Entry]
    ignore: IgnoreFile = field(default_factory=lambda: IgnoreFile(()))
    ignored: Mapping[str, Pattern] = field(default_factory=dict)
    _children: dict[str, list[str]] = field(default_factory=dict)

    def lstat(self, path: str) -> Node | None:
        entry = self.entries.get(path)
        return None if entry is None else entry.node

    def children(self, path: str) -> list[str]:
        if not self._children:
            for known in self.entries:
                if known:
                    parent, _, name = known.rpartition("/")
                    self._children.setdefault(parent, []).append(name)
            for names in self._children.values():
                names.sort()
        return self._children.get(path, [])

    def digest(self, node: Node) -> str:
        return self._content(node).digest

    def copy_data(self, node: Node, descriptor: int) -> None:
        content = self._content(node)
        if content.pack:
            with open(self.root / content.pack, "rb", buffering=0) as pack:
                send(pack.fileno(), content.offset, node.size, descriptor)

    def read(self, node: Node) -> bytes:
        content = self._content(node)
        if not content.pack:
            return b""
        with open(self.root / content.pack, "rb", buffering=0) as pack:
            return os.pread(pack.fileno(), node.size, content.offset)

    def xattrs(self, node: Node) -> Mapping[str, bytes]:
        return self.entries[node.path].xattrs

    def _content(self, node: Node) -> Content:
        content = self.entries[node.path].content
        assert content is not None, node.path
        return content


class Pack:
    """A new pack file, written by one transfer. Nobody else sees it before `keep`."""

    def __init__(self, root: Path) -> None:
        self.name = secrets.token_hex(8)
        self._root = root
        self._part = root / f"{self.name}.part"
        self._file = self._part.open("xb", buffering=1 << 18)
        self._at = 0

    def write(self, piece: bytes) -> int:
        """Where the piece begins."""
        at = self._at
        self._file.write(piece)
        self._at += len(piece)
        return at

    def keep(self) -> None:
        self._file.close()
        if self._at:
            self._part.rename(self._root / self.name)
        else:
            self._part.unlink()

    def drop(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


class Folders:
    """What is known of clients' folders, below `root`. A pack lives as long as a folder or a running build uses it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._recent: OrderedDict[str, dict[bytes, Entry]] = OrderedDict()
        self._users = 0
        self._changed = True

    @property
    def packs(self) -> Path:
        return self._root / "packs"

    def recover(self) -> None:
        """Removes what interrupted transfers left."""
        self.packs.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in (*self.packs.glob("*.part"), *self._root.glob("*.new")):
            part.unlink(missing_ok=True)

    def enter(self) -> None:
        """A build begins to read contents: nothing is removed until as many `leave`."""
        self._users += 1

    def leave(self) -> None:
        self._users -= 1
        self.tidy()

    def known(self, key: str) -> dict[bytes, Entry]:
        """The entries of the folder `key` by the bytes they were announced in; empty for a new one. Blocking."""
        if not key:
            return {}
        if key in self._recent:
            self._recent.move_to_end(key)
            return self._recent[key]
        try:
            stored = json.loads(self._index(key).read_bytes())
        except (OSError, ValueError):
            return {}
        if stored.get("format") != _FORMAT:
            return {}
        found = {bytes.fromhex(raw): _entry(fields) for raw, fields in stored["entries"]}
        return {raw: entry for raw, entry in found.items() if self._is_here(entry)}

    def remember(self, key: str, entries: dict[bytes, Entry], *, changed: bool) -> None:
        """From now on that is the folder. Blocking where `changed`."""
        self._changed = self._changed or changed
        if not key:
            return
        self._recent[key] = entries
        self._recent.move_to_end(key)
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        if changed:
            value = {"format": _FORMAT, "entries": [[raw.hex(), _fields(entry)] for raw, entry in entries.items()]}
            fresh = self._root / f"{secrets.token_hex(8)}.new"
            fresh.write_text(json.dumps(value))
            os.replace(fresh, self._index(key))
            packs = {entry.content.pack for entry in entries.values() if entry.content is not None}
            self._index(key).with_suffix(".packs").write_text("\n".join(packs))
            self._changed = True

    def clear(self) -> int:
        """Forgets all folders while no build reads one; returns the bytes freed. Blocking."""
        if self._users:
            return 0
        freed = sum(pack.stat().st_size for pack in self.packs.iterdir()) if self.packs.exists() else 0
        self._recent.clear()
        shutil.rmtree(self._root, ignore_errors=True)
        self.recover()
        return freed

    def tidy(self) -> None:
        """Removes packs that no folder uses any more, and forgets folders beyond the newest; nothing while a build
        reads. Quick: what a folder uses is listed beside it.
        """
        if self._users or not self._changed:
            return
        self._changed = False
        lists = sorted(self._root.glob("*.packs"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in lists[_FOLDERS:]:
            old.unlink(missing_ok=True)
            old.with_suffix(".json").unlink(missing_ok=True)
        used = {name for path in lists[:_FOLDERS] for name in path.read_text().split()}
        for pack in self.packs.iterdir():
            if pack.name not in used and pack.suffix != ".part":
                pack.unlink(missing_ok=True)

    def _index(self, key: str) -> Path:
        return self._root / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def _is_here(self, entry: Entry) -> bool:
        return entry.content is None or not entry.content.pack or (self.packs / entry.content.pack).exists()


def _fields(entry: Entry) -> list[object]:
    node, content = entry.node, entry.content or Content("")
    times = (node.mode, node.uid, node.gid, node.mtime_ns, node.size)
    return [
        node.path, node.kind.value, *times, node.link, content.pack, content.offset, content.digest,
        node.twin, node.device, {name: value.hex() for name, value in entry.xattrs.items()},
    ]  # fmt: skip


def _entry(fields: list[object]) -> Entry:
    path, kind, mode, uid, gid, mtime_ns, size, link, pack, offset, digest, twin, device, xattrs = fields
    node = Node(path, Kind(kind), mode, uid, gid, mtime_ns, size, link, twin, device)  # type: ignore[arg-type]
    content = Content(digest, pack, offset) if digest else None  # type: ignore[arg-type]
    return Entry(node, content, {name: bytes.fromhex(value) for name, value in xattrs.items()})  # type: ignore[attr-defined]
