"""Keeping logs in bounds while their containers run: full files are put away, old ones dropped, some compressed.

conmon rotates by itself only at `Bounds.while_away`, far above what was asked for. As long as the engine runs it tells
conmon to begin a new file when the present one is full; see `segments` for why nothing is lost in between. A burst may
overshoot the size asked for by what comes in a few milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from riad.engine.containers.logs import segments
from riad.engine.containers.logs.options import Bounds
from riad.engine.host import conmon
from riad.engine.host.inotify import Callback, Watches
from riad.kernel.faults import unavailable

_DEADLINE = 5.0


@dataclass(slots=True)
class Kept:
    """One running container's log."""

    log: Path
    bundle: Path
    bounds: Bounds
    cancel: Callback
    asked_at: int = 0
    """The number of the file that conmon was told to end, so that it is told once."""
    delivered: int | None = None
    """The number of the file that is being delivered elsewhere; later ones must stay. None where none need to."""


@dataclass(slots=True)
class Keeper:
    """Has every running container's log in its care. Belongs to the event loop."""

    watches: Watches
    _kept: dict[str, Kept] = field(default_factory=dict)
    _compressing: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def watch(self, container_id: str, log: Path, *, bundle: Path, bounds: Bounds) -> None:
        """Begins to care for the log of a container that has just started or was found again."""
        self.forget(container_id)
        segments.make(log)
        cancel = self.watches.add(log, lambda: self._changed(container_id))
        self._kept[container_id] = Kept(log, bundle, bounds, cancel)
        self._changed(container_id)

    def forget(self, container_id: str) -> None:
        """The container has ended; its log stays as it is, within its bounds."""
        kept = self._kept.pop(container_id, None)
        if kept is None:
            return
        kept.cancel()
        if kept.bounds.size is not None and segments.size(kept.log) >= kept.bounds.size:
            segments.begin_new(kept.log)
        self._put_away(container_id, kept)

    def delivering(self, container_id: str, number: int | None) -> None:
        """Files from that number on are not dropped, because they are still to be delivered."""
        if container_id in self._kept:
            self._kept[container_id].delivered = number

    async def clear(self, container_id: str, log: Path) -> None:
        """Drops everything that was logged until now. Followers go on with what comes.

        Raises UNAVAILABLE where conmon does not begin a new file.
        """
        kept = self._kept.get(container_id)
        if kept is None:
            if log.exists():
                segments.begin_new(log)
        else:
            await self._new_file(kept)
        segments.drop(log, keep=1)

    async def _new_file(self, kept: Kept) -> None:
        before = segments.noticed(kept.log)[-1].number
        with self.watches.growth(kept.log) as changed:
            with contextlib.suppress(OSError):
                conmon.reopen_log(kept.bundle)
            try:
                async with asyncio.timeout(_DEADLINE):
                    while segments.noticed(kept.log)[-1].number == before:
                        await changed.wait()
                        changed.clear()
            except TimeoutError:
                raise unavailable("the log cannot be cleared now: conmon does not answer; try again") from None

    def _changed(self, container_id: str) -> None:
        kept = self._kept.get(container_id)
        if kept is None:
            return
        known = segments.noticed(kept.log)
        newest = known[-1].number if known else 0
        if len(known) > kept.bounds.files or (kept.bounds.compress and len(known) > 1):
            self._put_away(container_id, kept)
        full = kept.bounds.size is not None and segments.size(kept.log) >= kept.bounds.size
        if full and kept.asked_at != newest:
            kept.asked_at = newest
            with contextlib.suppress(OSError):  # conmon is ending this moment
                conmon.reopen_log(kept.bundle)

    def _put_away(self, container_id: str, kept: Kept) -> None:
        segments.drop(kept.log, keep=kept.bounds.files, delivered=kept.delivered)
        if kept.bounds.compress and container_id not in self._compressing and segments.uncompressed(kept.log):
            task = asyncio.ensure_future(_compress(kept.log))
            self._compressing[container_id] = task
            task.add_done_callback(lambda _: self._compressing.pop(container_id, None))

    async def close(self) -> None:
        for container_id in list(self._kept):
            self._kept.pop(container_id).cancel()
        if self._compressing:
            await asyncio.wait(list(self._compressing.values()))
        self.watches.close()


async def _compress(log: Path) -> None:
    """One file after the other, in a thread; ends with the log."""
    while waiting := segments.uncompressed(log):
        if not await asyncio.to_thread(segments.compress, waiting[0]):
            return
