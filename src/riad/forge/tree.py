"""What is in a folder or file of a commit, read without loading more than is shown."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pygit2
from pygit2.enums import FileMode, ObjectType, SortMode

from riad.forge.history import Commit, commit_value

SHOWN_BLOB = 1024 * 1024
SNIFFED = 8000
"""git too calls a file binary when there is a NUL in its first 8000 bytes."""


class EntryKind(enum.StrEnum):
    TREE = "tree"
    BLOB = "blob"
    COMMIT = "commit"
    """A submodule."""


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    path: str
    kind: EntryKind
    mode: str
    """Six octal digits, as git shows it."""
    sha: str

    @property
    def is_link(self) -> bool:
        return self.mode == "120000"


@dataclass(frozen=True, slots=True)
class Blob:
    path: str
    sha: str
    size: int
    data: bytes
    """At most the limit asked for; `truncated` says that there is more."""
    truncated: bool
    mode: str

    @property
    def is_binary(self) -> bool:
        return b"\0" in self.data[:SNIFFED]

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Touched:
    """An entry and the last commit that changed it; None where that lies further back than was looked."""

    entry: Entry
    commit: Commit | None


def entry_at(root: pygit2.Tree, path: str) -> pygit2.Object | None:
    """The object at `path`; the root itself for the empty path."""
    if not path.strip("/"):
        return root
    try:
        return root[path.strip("/")]
    except (KeyError, ValueError):
        return None


def entries(tree: pygit2.Tree, folder: str) -> list[Entry]:
    """Folders first, then by name, as people read them."""
    prefix = folder.strip("/") + "/" if folder.strip("/") else ""
    found = [entry_value(item, prefix) for item in tree]
    return sorted(found, key=lambda entry: (entry.kind is not EntryKind.TREE, entry.name.lower(), entry.name))


def walk(tree: pygit2.Tree, folder: str, *, repository: pygit2.Repository) -> Iterator[Entry]:
    """Every entry below, folders before what is in them, in git's order. Submodules are named, not entered."""
    prefix = folder.strip("/") + "/" if folder.strip("/") else ""
    for item in tree:
        found = entry_value(item, prefix)
        yield found
        if found.kind is EntryKind.TREE:
            below = repository[item.id]
            if isinstance(below, pygit2.Tree):
                yield from walk(below, found.path, repository=repository)


def entry_value(item: pygit2.Object, prefix: str) -> Entry:
    name = item.raw_name.decode(errors="surrogateescape") if item.raw_name is not None else ""
    kind = {ObjectType.TREE: EntryKind.TREE, ObjectType.BLOB: EntryKind.BLOB}.get(item.type, EntryKind.COMMIT)
    return Entry(name=name, path=prefix + name, kind=kind, mode=f"{item.filemode:06o}", sha=str(item.id))


def blob_value(
    repository: pygit2.Repository, item: pygit2.Object, path: str, *, limit: int, largest: int = 512 * 1024 * 1024
) -> Blob:
    """With at most `limit` bytes. A blob larger than `largest` is not even loaded: its data is empty."""
    _, size = repository.odb.read_header(item.id)
    data = b""
    if size <= largest:
        blob = repository[item.id]
        assert isinstance(blob, pygit2.Blob)
        data = memoryview(blob)[:limit].tobytes()
    mode = f"{item.filemode or FileMode.BLOB:06o}"
    return Blob(path=path, sha=str(item.id), size=size, data=data, truncated=size > len(data), mode=mode)


def last_commits(
    repository: pygit2.Repository, start: pygit2.Oid, folder: str, *, most: int = 2000, seconds: float = 0.5
) -> dict[str, Commit]:
    """By entry name, the last commit that changed it, looking at `most` commits or for that many `seconds`.

    A commit changed an entry when the entry differs from that of every parent (so a merge that took one side did not).
    Only the folder's own tree objects are compared: a commit that left the folder alone costs one lookup per level.
    """
    deadline = time.monotonic() + seconds
    wanted = _ids(repository, start, folder)
    open_names = dict(wanted)
    found: dict[str, Commit] = {}
    for seen, commit in enumerate(repository.walk(start, SortMode.TOPOLOGICAL | SortMode.TIME)):
        if not open_names or seen >= most or time.monotonic() > deadline:
            break
        here = _ids(repository, commit.id, folder)
        parents = [_ids(repository, parent, folder) for parent in commit.parent_ids]
        for name, oid in list(open_names.items()):
            if here.get(name) == oid and all(parent.get(name) != oid for parent in parents):
                found[name] = commit_value(commit)
                del open_names[name]
    return found


def _ids(repository: pygit2.Repository, commit_id: pygit2.Oid, folder: str) -> dict[str, pygit2.Oid]:
    tree = entry_at(repository[commit_id].peel(pygit2.Tree), folder)
    return {entry_value(item, "").name: item.id for item in tree} if isinstance(tree, pygit2.Tree) else {}
