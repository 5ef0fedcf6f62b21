"""Delivering a container's log to the place of its driver, from its file: each entry at least once.

The place in the log up to which everything was delivered is written beside it after each block, so that a daemon that
was killed goes on from there; what it had under way may arrive twice. A place that does not answer is tried again, more
and more slowly. In mode `blocking` no entry is given up for that, and the files that hold them are kept; in mode
`non-blocking` what is more than `max-buffer-size` behind is. The container never waits for either.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from riad.engine.containers.logs import entries, segments
from riad.engine.containers.logs.drivers import Message, Sink
from riad.engine.containers.logs.read import Follow, Place, Selection, read
from riad.kernel import logs
from riad.kernel.faults import Fault

_log = logs.named("engine.logs")
_FIRST, _LONGEST = 0.1, 10.0
_FILE = "log.delivered"


@dataclass(slots=True)
class Delivery:
    """One container's log under way to one place, for one life of the container."""

    log: Path
    sink: Sink
    buffer: int | None
    """Bytes that may wait; None for any number."""
    keep_from: Callable[[int], None]
    """Told the number of the file that is still needed."""
    wanted: Callable[[], bool]
    """False when the container is gone, and its log with it."""

    async def run(self, follow: Follow | None) -> None:
        """To the end of the log, or of the container's life and its log; ends when everything was delivered."""
        place: Place | None = delivered(self.log)
        try:
            while place is not None:
                place = await self._from(place, follow)
        finally:
            self.sink.close()

    async def _from(self, start: Place, follow: Follow | None) -> Place | None:
        """None at the end; a place to go on from where entries were given up."""
        async for block in read(self.log, Selection(), start=start, follow=follow):
            messages = [message for line in block.data.split(b"\n") if (message := _message(line)) is not None]
            if not await self._send(messages, block.after):
                return _behind(self.log, self.buffer or 0)
            remember(self.log, block.after)
            self.keep_from(block.after.number)
        return None

    async def _send(self, messages: list[Message], after: Place) -> bool:
        """Tries until it works. False when too much has come behind them."""
        pause = _FIRST
        while True:
            try:
                await self.sink.send(messages)
                return True
            except (OSError, Fault) as error:
                if pause == _FIRST:
                    _log.warning("log is not delivered", extra=logs.fields(log=self.log, error=error))
            if not self.wanted():
                return True
            if self.buffer is not None and _waiting(self.log, after) > self.buffer:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST)


def _message(line: bytes) -> Message | None:
    entry = entries.parse(line)
    if entry is None:
        return None
    text = entry.text.removesuffix(b"\n").removesuffix(b"\r")
    return Message(text, entry.nanoseconds, entry.stream == entries.STDERR, entry.partial)


def _waiting(log: Path, place: Place) -> int:
    """Bytes of the log behind the place, those of compressed files as they are."""
    return sum(
        segments.size(segment.path) - (place.offset if segment.number == place.number else 0)
        for segment in segments.noticed(log)
        if segment.number >= place.number
    )


def _behind(log: Path, buffer: int) -> Place:
    """The place so many bytes before the end; within the last file. Half an entry at its beginning is no entry."""
    known = segments.noticed(log)
    if not known:
        return Place()
    return Place(known[-1].number, max(0, segments.size(known[-1].path) - buffer))


def delivered(log: Path) -> Place:
    """Up to where the log was delivered; its beginning where nothing was."""
    try:
        number, offset = json.loads(log.with_name(_FILE).read_text())
        return Place(int(number), int(offset))
    except (OSError, ValueError, TypeError):
        return Place()


def remember(log: Path, place: Place) -> None:
    part = log.with_name(_FILE + ".tmp")
    with contextlib.suppress(OSError):  # the container is being removed, or the disk is full: then it comes twice
        part.write_text(json.dumps([place.number, place.offset]))
        os.replace(part, log.with_name(_FILE))
