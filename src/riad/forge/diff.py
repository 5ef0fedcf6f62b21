"""What changed between two trees: files, hunks, lines; bounded, because a diff can be as large as its author likes."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import pygit2
from pygit2.enums import DeltaStatus, DiffFind, DiffOption

MOST_FILES = 1000
MOST_LINES = 20_000
MOST_FILE_LINES = 5_000
LARGEST_BLOB = 1024 * 1024
"""A larger file is named but its lines are not compared."""


class Change(enum.StrEnum):
    ADDED = "added"
    DELETED = "deleted"
    MODIFIED = "modified"
    RENAMED = "renamed"
    TYPE = "type changed"


@dataclass(frozen=True, slots=True)
class Line:
    """`mark` is `+`, `-`, a space, or `\\` for git's remark that there is no newline at the end of the file."""

    mark: str
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    header: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """`hunks` is empty for a binary file and one that is `too_large` to show."""

    old_path: str
    new_path: str
    old_mode: str
    new_mode: str
    change: Change
    binary: bool
    too_large: bool
    added: int
    deleted: int
    hunks: tuple[Hunk, ...]

    def text(self) -> str:
        """The hunks as a unified diff, without the file's header (as GitLab's API has it)."""
        return "".join(hunk.header + "".join(_line(line) for line in hunk.lines) for hunk in self.hunks)


@dataclass(frozen=True, slots=True)
class Diff:
    files: tuple[FileDiff, ...]
    truncated: bool
    """There are more than MOST_FILES files."""

    @property
    def added(self) -> int:
        return sum(file.added for file in self.files)

    @property
    def deleted(self) -> int:
        return sum(file.deleted for file in self.files)


def between(repository: pygit2.Repository, old: pygit2.Tree | None, new: pygit2.Tree | None) -> Diff:
    """From `old` to `new`; None is the empty tree."""
    found = _compare(repository, old, new)
    found.find_similar(flags=DiffFind.FIND_RENAMES, rename_limit=200)
    files: list[FileDiff] = []
    left = MOST_LINES
    for index, delta in enumerate(found.deltas):
        if index >= MOST_FILES:
            return Diff(tuple(files), truncated=True)
        file = _file(repository, found, index, delta, most=min(left, MOST_FILE_LINES))
        left -= sum(len(hunk.lines) for hunk in file.hunks)
        files.append(file)
    return Diff(tuple(files), truncated=False)


def changed_paths(repository: pygit2.Repository, old: pygit2.Tree | None, new: pygit2.Tree | None) -> Iterator[str]:
    """Every path that differs, of both sides: a renamed file counts with both its names."""
    for delta in _compare(repository, old, new).deltas:
        yield delta.new_file.path
        if delta.old_file.path != delta.new_file.path:
            yield delta.old_file.path


def _compare(repository: pygit2.Repository, old: pygit2.Tree | None, new: pygit2.Tree | None) -> pygit2.Diff:
    flags = DiffOption.INCLUDE_TYPECHANGE
    if old is not None and new is not None:
        return old.diff_to_tree(new, flags=flags)
    if new is not None:
        return new.diff_to_tree(flags=flags, swap=True)
    if old is not None:
        return old.diff_to_tree(flags=flags)
    raise ValueError("nothing to compare")


_CHANGES = {
    DeltaStatus.ADDED: Change.ADDED,
    DeltaStatus.DELETED: Change.DELETED,
    DeltaStatus.RENAMED: Change.RENAMED,
    DeltaStatus.TYPECHANGE: Change.TYPE,
}


def _file(
    repository: pygit2.Repository, diff: pygit2.Diff, index: int, delta: pygit2.DiffDelta, *, most: int
) -> FileDiff:
    too_large = most <= 0 or max(_size(repository, delta.old_file), _size(repository, delta.new_file)) > LARGEST_BLOB
    patch = None if too_large else diff[index]
    added = deleted = 0
    hunks: tuple[Hunk, ...] = ()
    if patch is not None:
        _, added, deleted = patch.line_stats
        too_large = sum(patch.line_stats) > most
        hunks = () if too_large else tuple(map(_hunk, patch.hunks))
    return FileDiff(
        old_path=delta.old_file.path,
        new_path=delta.new_file.path,
        old_mode=f"{delta.old_file.mode:06o}",
        new_mode=f"{delta.new_file.mode:06o}",
        change=_CHANGES.get(delta.status, Change.MODIFIED),
        binary=patch is not None and bool(patch.delta.is_binary),
        too_large=too_large,
        added=added,
        deleted=deleted,
        hunks=hunks,
    )


def _size(repository: pygit2.Repository, file: pygit2.DiffFile) -> int:
    try:
        _, size = repository.odb.read_header(file.id)
    except KeyError:  # no such side, or a submodule's commit
        return 0
    return int(size)


def _hunk(hunk: pygit2.DiffHunk) -> Hunk:
    lines = tuple(
        Line(
            mark=line.origin if line.origin in "+- " else "\\",
            old=line.old_lineno if line.old_lineno > 0 else None,
            new=line.new_lineno if line.new_lineno > 0 else None,
            text=line.raw_content.decode(errors="replace").removesuffix("\n"),
        )
        for line in hunk.lines
    )
    return Hunk(header=hunk.header if hunk.header.endswith("\n") else hunk.header + "\n", lines=lines)


def _line(line: Line) -> str:
    if line.mark == "\\":
        return "\\ No newline at end of file\n"
    return f"{line.mark}{line.text}\n"
