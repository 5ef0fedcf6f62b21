"""Reading a container's log, as conmon writes it: `TIME STREAM F|P TEXT`, one line each.

P marks a line that goes on in the next entry of its stream. Lines of a terminal keep their carriage return. The last
line of a container that ended without a line feed is an entry P, too.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riad.engine.host.inotify import Growth
from riad.kernel.faults import invalid

_BLOCK = 2**16
_SIZE = re.compile(r"(\d+)([bkmgt]?)b?")
_STREAMS = {b"stdout": 1, b"stderr": 2}


@dataclass(frozen=True, slots=True)
class Entry:
    """`time` is RFC 3339 with nanoseconds and offset, as written; `text` ends with a line feed unless `partial`."""

    time: bytes
    stream: int
    partial: bool
    text: bytes

    def at(self) -> datetime:
        return datetime.fromisoformat(self.time[:26].decode() + self.time[29:].decode())

    def stamp(self) -> bytes:
        """The time in UTC, with `Z`, as `docker logs -t` prints it."""
        if self.time.endswith(b"+00:00"):
            return self.time[:29] + b"Z"
        return self.at().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries: `tail` complete lines from the end, None for all."""

    stdout: bool = True
    stderr: bool = True
    since: datetime | None = None
    until: datetime | None = None
    tail: int | None = None

    def picks(self, entry: Entry) -> bool:
        if not (self.stdout if entry.stream == 1 else self.stderr):
            return False
        if self.since is None and self.until is None:
            return True
        at = entry.at()
        return (self.since is None or at >= self.since) and (self.until is None or at <= self.until)


def log_limit(text: str) -> int | None:
    """`10m` in bytes; None for -1, no limit. Raises INVALID."""
    found = _SIZE.fullmatch(text.strip().lower())
    if text.strip() == "-1":
        return None
    if found is None or int(found[1]) == 0:
        raise invalid(f"invalid value for max-size: {text!r}: expected a size such as 10m")
    return int(found[1]) << 10 * "bkmgt".index(found[2] or "b")


def parse(line: bytes) -> Entry | None:
    """One line of the file, without its line feed; None for what is not an entry."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in _STREAMS:
        return None
    partial = parts[2] == b"P"
    return Entry(parts[0], _STREAMS[parts[1]], partial, parts[3] if partial else parts[3] + b"\n")


def tail_offset(path: Path, lines: int, *, end: int) -> int:
    """Where the last `lines` lines of the first `end` bytes begin; reads backwards. An unfinished last one counts."""
    if lines <= 0:
        return end
    with open(path, "rb") as file:
        place, seen, after, last = end, 0, b"", True
        while place > 0:
            size = min(_BLOCK, place)
            place -= size
            file.seek(place)
            block = file.read(size) + after
            rows = block.split(b"\n")
            after = rows[0] if place > 0 else b""
            offset = place + len(block)
            for index in range(len(rows) - 1, 0 if place > 0 else -1, -1):
                offset -= len(rows[index]) + (0 if index == len(rows) - 1 else 1)
                entry = parse(rows[index])
                if entry is not None:
                    seen += last or not entry.partial
                    last = False
                    if seen > lines:
                        return offset + len(rows[index]) + 1
    return 0


class _Lines:
    """Complete lines of a growing file. It may be replaced by a new one when it has grown too long (`max-size`)."""

    def __init__(self, path: Path, offset: int, end: int | None) -> None:
        """`end` is where to stop reading; None follows the file as it grows."""
        self._path = path
        self._end = end
        self._file = open(path, "rb")  # noqa: SIM115 -- closed by close()
        self._file.seek(offset)
        self._rest = b""

    def take(self) -> list[bytes] | None:
        """What has come since the last call, up to a block; None for nothing."""
        left = _BLOCK if self._end is None else max(0, min(_BLOCK, self._end - self._file.tell()))
        block = self._file.read(left)
        if not block:
            return None
        *lines, self._rest = (self._rest + block).split(b"\n")
        return lines

    def was_replaced(self) -> bool:
        try:
            return os.stat(self._path).st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def close(self) -> None:
        self._file.close()


async def read(
    path: Path, selection: Selection, *, ended: asyncio.Future[int] | None = None
) -> AsyncIterator[list[Entry]]:
    """The selected entries, in batches; with `ended` also those to come, until that is done and all was read."""
    if not path.exists():
        if ended is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o640)
    size = path.stat().st_size
    start = 0 if selection.tail is None else await asyncio.to_thread(tail_offset, path, selection.tail, end=size)
    replaced = True
    while replaced:
        lines = _Lines(path, start, None if ended is not None else size)
        start, replaced = 0, False
        try:
            with Growth(path) as growth:
                while not replaced:
                    last = ended is None or ended.done()  # asked before reading: what comes later is read next time
                    if (taken := lines.take()) is not None:
                        found = [entry for line in taken if (entry := parse(line)) is not None]
                        if picked := [entry for entry in found if selection.picks(entry)]:
                            yield picked
                        if found and _past(selection, found[-1]):
                            return
                    elif ended is not None and lines.was_replaced():
                        replaced = True
                    elif last or ended is None:
                        return
                    else:
                        await _first(growth, ended, selection)
        finally:
            lines.close()


def _past(selection: Selection, entry: Entry) -> bool:
    return selection.until is not None and entry.at() > selection.until


async def _first(growth: Growth, ended: asyncio.Future[int], selection: Selection) -> None:
    """Waits for more, for the end, or for the moment after which nothing is wanted."""
    more = asyncio.ensure_future(growth.next())
    left = None
    if selection.until is not None:
        left = (selection.until - datetime.now(UTC)).total_seconds()
    waiting: list[asyncio.Future[Any]] = [more, ended]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=left)
        if not done and not ended.done():
            ended.cancel()
    finally:
        more.cancel()
