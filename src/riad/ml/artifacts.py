"""Files of runs and models by path; their bytes are blobs, kept once per content."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from riad.kernel.faults import invalid, not_found
from riad.ml.sql import Sql


@dataclass(frozen=True, slots=True)
class File:
    """`path` from the root of all artifacts; `size` in bytes."""

    path: str
    size: int
    digest: str

    @property
    def blob(self) -> str:
        return blob_key(self.digest)


def blob_key(digest: str) -> str:
    """`digest`: SHA-256 in hexadecimal."""
    return f"ml/sha256/{digest[:2]}/{digest}"


def clean(path: str) -> str:
    """A path below the root, as it is kept. Raises INVALID for one that leads elsewhere or holds control characters."""
    if path.startswith("/") or "\\" in path or any(ord(letter) < 32 for letter in path):
        raise invalid(f"Invalid path: {path!r}")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise invalid(f"Invalid path: {path!r}: it leads out of its folder")
    if len(path) > 1024:
        raise invalid("Invalid path: it is longer than 1024 characters")
    return "/".join(parts)


def put(sql: Sql, path: str, *, digest: str, size: int, now: int) -> None:
    """Another file at the path gives way. Raises INVALID where a folder is in the way."""
    if not path:
        raise invalid("Invalid path: a file needs a name")
    below = f"{path}/"
    inside = "SELECT 1 FROM ml_artifact WHERE folder = ? OR (folder >= ? AND folder < ?) LIMIT 1"
    if sql.row(inside, (path, below, _after(below))):
        raise invalid(f"Invalid path: {path} is a folder")
    sql.run(
        "INSERT INTO ml_artifact (path, folder, size, digest, modified) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (path) DO UPDATE SET size = excluded.size, digest = excluded.digest, modified = excluded.modified",
        (path, posixpath.dirname(path), size, digest, now),
    )


def get(sql: Sql, path: str) -> File:
    """Raises NOT_FOUND."""
    found = sql.row("SELECT path, size, digest FROM ml_artifact WHERE path = ?", (path,))
    if found is None:
        raise not_found(f"No such artifact: {path}")
    return File(*found)


def listing(sql: Sql, folder: str) -> tuple[list[str], list[File]]:
    """The folders and files directly in a folder, by name; both empty where there is no such folder."""
    files = [
        File(*row)
        for row in sql.rows("SELECT path, size, digest FROM ml_artifact WHERE folder = ? ORDER BY path", (folder,))
    ]
    below = f"{folder}/" if folder else ""
    rows = sql.rows("SELECT DISTINCT folder FROM ml_artifact WHERE folder >= ? AND folder < ?", (below, _after(below)))
    names = {row[0].removeprefix(below).partition("/")[0] for row in rows if row[0] != folder}
    return [below + name for name in sorted(names) if name], files


def remove(sql: Sql, path: str) -> int:
    """A file, or a folder with all that is in it; returns how many files went."""
    below = f"{path}/"
    return sql.run("DELETE FROM ml_artifact WHERE path = ? OR (path >= ? AND path < ?)", (path, below, _after(below)))


def unused(sql: Sql, digests: Sequence[str]) -> list[str]:
    """Those of these contents that no file has."""
    return [each for each in digests if sql.row("SELECT 1 FROM ml_artifact WHERE digest = ? LIMIT 1", (each,)) is None]


def _after(prefix: str) -> str:
    """What sorts after everything that begins with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"
