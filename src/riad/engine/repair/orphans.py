"""Things without an owner: what there is, compared with what the database accounts for."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Orphan:
    """`kind` as users know it, `name` as the host has it, `size` in bytes on disk (0 for what is not on disk)."""

    kind: str
    name: str
    size: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.name


def of_folder(
    kind: str, folder: Path, owners: frozenset[str] | set[str], *, older_than: float | None = None
) -> list[Orphan]:
    """The entries of `folder` that are named after none of `owners`; `older_than`: last changed before then."""
    found = []
    for entry in _entries(folder):
        if entry.name in owners:
            continue
        with contextlib.suppress(FileNotFoundError):
            if older_than is None or entry.stat(follow_symlinks=False).st_ctime < older_than:
                found.append(Orphan(kind, entry.path, size(Path(entry.path))))
    return found


def size(path: Path) -> int:
    """Bytes that it takes on disk, as du counts: files with several names once."""
    total, seen = 0, set()
    for found in _all(path):
        with contextlib.suppress(OSError):
            about = os.lstat(found)
            if about.st_nlink == 1 or about.st_ino not in seen:
                seen.add(about.st_ino)
                total += about.st_blocks * 512
    return total


def _all(path: Path) -> list[str]:
    found = [str(path)]
    for parent, folders, files in os.walk(path):
        found += (os.path.join(parent, name) for name in (*folders, *files))
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
