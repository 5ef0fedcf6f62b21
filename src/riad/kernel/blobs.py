"""Bytes by key: artifacts, registry layers, packages, models. One port, a local folder today.

The contract of `BlobStore`: a key is `name/name/…` of letters, digits and `._-`; `write` is atomic (a reader sees the
whole new value or the old one, never a part) and durable once it returns; `delete` of what is not there is no error.
Writing, adopting and deleting may happen at once, in the same folder too.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from riad.kernel.faults import not_found

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


class BlobStore(Protocol):
    def open(self, key: str) -> BinaryIO:
        """Reads from the start; seekable. Raises NOT_FOUND."""

    def size(self, key: str) -> int | None:
        """In bytes; None where there is no such blob."""

    @contextmanager
    def write(self, key: str) -> Iterator[BinaryIO]:
        """Takes the new value; kept when the block ends, dropped when it raises."""
        yield  # type: ignore[misc]

    def adopt(self, key: str, file: Path) -> None:
        """Takes over a finished local file (moved where possible)."""

    def delete(self, key: str) -> None: ...

    def touch(self, key: str) -> None:
        """It is in use: `idle` counts from now. No error where there is none."""

    def idle(self, prefix: str, *, since: datetime) -> list[str]:
        """The keys below `prefix/` that were neither written nor touched after that moment."""

    def tidy(self, *, before: datetime) -> None:
        """Removes what writes that were cut off before that moment have left."""


class FolderBlobs:
    """Blobs as files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / ".incoming"

    def path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a blob key")
        return self._root / key

    def open(self, key: str) -> BinaryIO:
        try:
            return self.path(key).open("rb")
        except FileNotFoundError:
            raise not_found(f"no blob {key}") from None

    def size(self, key: str) -> int | None:
        try:
            return self.path(key).stat().st_size
        except FileNotFoundError:
            return None

    @contextmanager
    def write(self, key: str) -> Iterator[BinaryIO]:
        self._incoming.mkdir(parents=True, exist_ok=True)
        part = self._incoming / secrets.token_hex(16)
        try:
            with part.open("xb") as file:
                yield file
            self.adopt(key, part)
        finally:
            part.unlink(missing_ok=True)

    def adopt(self, key: str, file: Path) -> None:
        target = self.path(key)
        _sync(file)
        while True:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(file, target)
                break
            except FileNotFoundError:
                if not file.exists():
                    raise
                # a delete took the folder away in between: it was empty then
        _sync(target.parent)

    def delete(self, key: str) -> None:
        path = self.path(key)
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()  # leaves a folder that still holds something

    def touch(self, key: str) -> None:
        with suppress(FileNotFoundError):
            os.utime(self.path(key))

    def idle(self, prefix: str, *, since: datetime) -> list[str]:
        found = _older(self.path(prefix), since)
        return [str(path.relative_to(self._root)) for path in found]

    def tidy(self, *, before: datetime) -> None:
        for path in _older(self._incoming, before):
            path.unlink(missing_ok=True)


def _older(folder: Path, moment: datetime) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime <= moment.timestamp():
                yield path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
