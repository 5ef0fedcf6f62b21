"""The files that one container's log is made of, oldest first.

conmon writes `log`. When told to (or when the file has grown to its own, much larger limit while the engine is away)
it closes that file and puts a new, empty one in its place, which would lose the old one. So the engine gives every file
a second name when it first sees it: `log.7` is the seventh file of the log, and stays when conmon replaces `log`.

    log, log.7     the same file: the one that conmon writes now
    log.6          full
    log.5.gz       full and compressed

The numbers only grow, so a reader that stands in `log.5` knows what comes next, whatever was dropped or compressed
meanwhile. A file with a successor is never written again. Crash-safe without a journal: what is what follows from the
names and inode numbers, and every step may be done twice.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_MODE = 0o640


@dataclass(frozen=True, slots=True)
class Segment:
    number: int
    path: Path

    @property
    def compressed(self) -> bool:
        return self.path.suffix == ".gz"

    def open(self) -> IO[bytes]:
        """Raises FileNotFoundError where it was dropped or compressed a moment ago."""
        return gzip.open(self.path, "rb") if self.compressed else open(self.path, "rb")  # type: ignore[return-value]


def listed(log: Path) -> list[Segment]:
    """Oldest first; the last is the file that conmon writes, where it was `noticed`."""
    found: dict[int, Segment] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(log.parent):
            head, _, rest = entry.name.partition(".")
            number = rest.removesuffix(".gz")
            if head == log.name and number.isascii() and number.isdigit():
                segment = Segment(int(number), Path(entry.path))
                if segment.number not in found or found[segment.number].compressed:
                    found[segment.number] = segment  # both are there after a crash: the whole one counts
    return [found[number] for number in sorted(found)]


def noticed(log: Path) -> list[Segment]:
    """`listed`, after the present file was given its number if it had none."""
    segments = listed(log)
    while True:
        inode = _inode(log)
        if inode is None or (segments and _inode(segments[-1].path) == inode):
            return segments
        number = segments[-1].number + 1 if segments else 1
        segment = Segment(number, log.with_name(f"{log.name}.{number}"))
        try:
            os.link(log, segment.path)
        except FileNotFoundError:
            return segments
        segments.append(segment)


def make(log: Path) -> None:
    """Makes an empty log where there is none, so that it can be followed from its first byte."""
    if not log.exists():
        log.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _MODE))
    noticed(log)


def begin_new(log: Path) -> None:
    """Puts an empty file in place of the present one, as conmon does; only while no conmon writes it."""
    fresh = log.with_name(log.name + ".tmp")
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE))
    noticed(log)
    fresh.rename(log)
    noticed(log)


def drop(log: Path, *, keep: int, delivered: int | None = None) -> None:
    """Removes the oldest files until `keep` are left; none that is not `delivered` (a number) where that counts."""
    segments = noticed(log)
    for segment in segments[: max(0, len(segments) - keep)]:
        if delivered is None or segment.number < delivered:
            segment.path.unlink(missing_ok=True)
            segment.path.with_name(segment.path.name + ".gz").unlink(missing_ok=True)


def uncompressed(log: Path) -> list[Segment]:
    """The full ones that are not compressed yet."""
    return [segment for segment in noticed(log)[:-1] if not segment.compressed]


def compress(segment: Segment) -> bool:
    """Replaces a full file by its compressed form; takes a while, so call it in a thread.

    False where that did not work: it was dropped meanwhile, or the disk is full.
    """
    target = segment.path.with_name(segment.path.name + ".gz")
    part = target.with_name(target.name + ".tmp")
    try:
        with open(segment.path, "rb") as source, gzip.open(part, "wb", compresslevel=3) as packed:
            shutil.copyfileobj(source, packed, 2**18)
        os.chmod(part, _MODE)
        os.stat(segment.path)
        part.rename(target)
        segment.path.unlink()
    except OSError:
        part.unlink(missing_ok=True)
        return False
    return True


def size(log: Path) -> int:
    """Bytes of the present file."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
