"""Reading a log over all of its files, and following it while it grows, is rotated, or begins only later.

What comes out are blocks of whole entries in conmon's format (`entries`), parts of lines joined where that is cheap;
`show` makes of them what a client gets. Nothing is decoded on the way that need not be.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from riad.engine.containers.logs import entries, segments
from riad.engine.containers.logs.segments import Segment
from riad.engine.host.inotify import Watches

_BLOCK = 2**18
_HELD = 2**16
"""Bytes of an unfinished line that are held back until it is complete."""


@dataclass(frozen=True, slots=True)
class Place:
    """A byte of the log: in the file of that number, which may be gone by now."""

    number: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries: times in nanoseconds since the epoch, both included; `tail` complete lines from the end."""

    since: int | None = None
    until: int | None = None
    tail: int | None = None


@dataclass(frozen=True, slots=True)
class Follow:
    """Goes on reading until `ended` is done and everything was read."""

    watches: Watches
    ended: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Block:
    """Whole entries, each with its line feed, and the place after them."""

    data: bytes
    after: Place


async def read(
    log: Path,
    selection: Selection,
    *,
    start: Place | None = None,
    follow: Follow | None = None,
    unfinished: bool = False,
) -> AsyncIterator[Block]:
    """The selected entries. `unfinished` shows parts of lines at once, as terminals need it, instead of when complete.

    `start` is where to begin, the log's oldest byte by default; `tail` comes before it.
    """
    reader = _Reader(log, follow, unfinished=unfinished)
    try:
        if selection.tail is not None:
            start = await asyncio.to_thread(tail_place, log, selection.tail)
        reader.go_to(start or Place())
        times = _Times(selection)
        with reader.watching():
            async for block in reader.blocks(times.until):
                if data := times.pick(block.data):
                    yield replace(block, data=data)
                if times.over:
                    return
    finally:
        reader.close()


class _Reader:
    def __init__(self, log: Path, follow: Follow | None, *, unfinished: bool) -> None:
        self._log = log
        self._follow = follow
        self._unfinished = unfinished
        self._changed = asyncio.Event()
        self._segment: Segment | None = None
        self._file: IO[bytes] | None = None
        self._end: Place | None = None
        self._ahead: dict[int, IO[bytes]] = {}
        self._offset = 0
        self._rest = b""
        """Read but not shown: the beginning of an entry, or entries of an unfinished line."""
        if follow is not None:
            segments.make(log)

    @contextlib.contextmanager
    def watching(self) -> Any:
        if self._follow is None:
            yield
            return
        with self._follow.watches.growth(self._log) as self._changed:
            yield

    def go_to(self, place: Place) -> None:
        """All files from there on are opened now, so that none is dropped before it was read."""
        known = segments.noticed(self._log)
        for segment in known:
            if segment.number >= place.number:
                with contextlib.suppress(FileNotFoundError):
                    self._ahead[segment.number] = segment.open()
        if self._follow is None and known:
            self._end = Place(known[-1].number, segments.size(known[-1].path))
        self._advance(place.number, place.offset)

    def _advance(self, number: int, offset: int = 0) -> bool:
        """To the file of that number, or the next one there is; False where there is none."""
        later = {segment.number: segment for segment in segments.noticed(self._log) if segment.number >= number}
        numbers = sorted({*later, *(known for known in self._ahead if known >= number)})
        for found in numbers:
            try:
                file = self._ahead.pop(found, None) or later[found].open()
            except FileNotFoundError:
                continue
            if self._file is not None:
                self._file.close()
            self._segment = later.get(found) or Segment(found, self._log)
            self._file, self._rest = file, b""
            self._offset = offset if found == number else 0
            file.seek(self._offset)
            return True
        return False

    async def blocks(self, until: int | None) -> AsyncIterator[Block]:
        while self._file is None:
            if not await self._more(until):
                return
            self._advance(0)
        replaced = False
        while True:
            last = self._follow is None or self._follow.ended.done()  # asked before reading
            if block := await self._take():
                yield block
                await asyncio.sleep(0)  # others have their turn, however fast the client is
            elif not replaced and not self._is_newest():
                replaced = True  # since we looked: what came before that is still to be read
            elif replaced or last or not await self._more(until):
                if block := self._remaining():
                    yield block
                if not replaced or not self._advance(self._number + 1):
                    return
                replaced = False

    @property
    def _number(self) -> int:
        return self._segment.number if self._segment else 0

    def _is_newest(self) -> bool:
        if self._end is not None:
            return self._number >= self._end.number
        known = segments.noticed(self._log)
        return not known or known[-1].number <= self._number

    async def _take(self) -> Block | None:
        """The next whole entries; None for nothing new."""
        assert self._file is not None
        while True:
            limit = _BLOCK
            if self._end is not None and self._number == self._end.number:
                limit = max(0, min(_BLOCK, self._end.offset - self._offset - len(self._rest)))
            compressed = self._segment is not None and self._segment.compressed
            data = await asyncio.to_thread(self._file.read, limit) if compressed else self._file.read(limit)
            if not data:
                return None
            whole, self._rest = cut(self._rest + data, unfinished=self._unfinished)
            if whole:
                self._offset += len(whole)
                return Block(entries.join_parts(whole), Place(self._number, self._offset))

    def _remaining(self) -> Block | None:
        """What was held back, at the end of a file or of the log."""
        whole = self._rest[: self._rest.rfind(b"\n") + 1]
        self._rest = b""
        if not whole:
            return None
        self._offset += len(whole)
        return Block(entries.join_parts(whole), Place(self._number, self._offset))

    async def _more(self, until: int | None) -> bool:
        """Waits for a change; False at the end, or at the moment after which nothing is wanted."""
        if self._follow is None:
            return False
        if self._follow.ended.done():
            return True
        left = None if until is None else until / 10**9 - datetime.now(UTC).timestamp()
        if left is not None and left <= 0:
            return False
        changed = asyncio.ensure_future(self._changed.wait())
        waiting: set[asyncio.Future[Any]] = {changed, self._follow.ended}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=left)
        finally:
            changed.cancel()
        self._changed.clear()
        return bool(done)

    def close(self) -> None:
        for file in (self._file, *self._ahead.values()):
            if file is not None:
                file.close()


class _Times:
    """Chooses by time, whole blocks at once where it can: entries are in the order of their times."""

    def __init__(self, selection: Selection) -> None:
        self.until = selection.until
        self.over = False
        self._since = None if selection.since is None else entries.written(selection.since)
        self._until = None if selection.until is None else entries.written(selection.until)

    def pick(self, block: bytes) -> bytes:
        if self._since is None and self._until is None:
            return block
        first, last = block[:29], block[block.rfind(b"\n", 0, len(block) - 1) + 1 :][:29]
        if block[29:35] != b"+00:00":
            return self._one_by_one(block)
        early = self._since is not None and first < self._since
        late = self._until is not None and last > self._until
        return self._one_by_one(block) if early or late else block

    def _one_by_one(self, block: bytes) -> bytes:
        picked = []
        for line in block.split(b"\n")[:-1]:
            at = entries.stamp(line[:35])[:29]
            if self._until is not None and at > self._until:
                self.over = True
                break
            if self._since is None or at >= self._since:
                picked.append(line + b"\n")
        if self._since is not None and picked:
            self._since = None  # time goes on: all that follow are later
        return b"".join(picked)


def cut(data: bytes, *, unfinished: bool) -> tuple[bytes, bytes]:
    """Whole entries, and the rest to be held back: half an entry, or the parts of a line that goes on."""
    place = data.rfind(b"\n") + 1
    while not unfinished and place > 0 and len(data) - place < _HELD:
        begin = data.rfind(b"\n", 0, place - 1) + 1
        if not entries.is_partial(data[begin : begin + entries.PREFIX]):
            break
        place = begin
    return data[:place], data[place:]


def tail_place(log: Path, lines: int) -> Place:
    """Where the last `lines` lines begin; reads backwards. An unfinished last one counts."""
    known = segments.noticed(log)
    place = Place(known[-1].number, segments.size(known[-1].path)) if known else Place()
    if lines <= 0:
        return place
    counter = _Counter(lines)
    for segment in reversed(known):
        try:
            with segment.open() as file:
                end = place.offset if segment.number == known[-1].number else None
                whole = BytesIO(file.read()) if segment.compressed else file
                if (offset := counter.back(whole, end)) is not None:
                    return Place(segment.number, offset)
        except FileNotFoundError:
            continue
    return Place()


class _Counter:
    """Counts lines backwards over several files."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._seen = 0
        self._last = True

    def back(self, file: IO[bytes], end: int | None) -> int | None:
        """Where in this file the wanted lines begin; None where they begin before it. All of it where end is None."""
        if end is None:
            end = file.seek(0, 2)
        place, after = end, b""
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
                kind = entries.KINDS.get(rows[index][35:45])
                if kind is not None:
                    self._seen += self._last or not kind[1]
                    self._last = False
                    if self._seen > self._wanted:
                        return offset + len(rows[index]) + 1
        return None
