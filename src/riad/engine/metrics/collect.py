"""Everything that Prometheus is told, gathered at most once a second however many ask.

What a container's files take needs a walk over them: that is measured anew once a minute, in a thread, as cAdvisor
does, and told from memory in between.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container
from riad.engine.containers.stats import runs, sample
from riad.engine.events import Events
from riad.engine.host import usage
from riad.engine.host.disk import on_disk
from riad.engine.metrics import containers, own
from riad.engine.metrics.exposition import render
from riad.engine.metrics.timings import Timings

_FRESH = 1.0
_FILES_FRESH = 60.0
_AT_ONCE = 20
"""Containers sampled before others get a turn: each takes a quarter of a millisecond."""


@dataclass(slots=True)
class Metrics:
    engine: Engine
    events: Events
    timings: Timings = field(default_factory=Timings)
    _text: str = ""
    _at: float = float("-inf")
    _gathering: asyncio.Lock = field(default_factory=asyncio.Lock)
    _files: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Per container: when its files were measured, and the bytes they take."""

    async def text(self) -> str:
        async with self._gathering:
            if time.monotonic() - self._at >= _FRESH:
                self._text = await self._gather()
                self._at = time.monotonic()
            return self._text

    async def _gather(self) -> str:
        await self._measure_files([container for container in self.engine.registry if runs(container)])
        told, host = [], usage.host_cpu()
        for number, container in enumerate(self.engine.registry):
            if runs(container):
                written = self._files.get(container.id, (0.0, None))[1]
                found = sample(self.engine, container, host)
                told.append(containers.seen(self.engine.group(container), found, written))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return render([*own.families(self.engine, self.events), self.timings.family(), *containers.families(told)])

    async def _measure_files(self, running: list[Container]) -> None:
        now = time.monotonic()
        self._files = {c.id: known for c in running if (known := self._files.get(c.id)) is not None}
        due = [c.id for c in running if now - self._files.get(c.id, (float("-inf"), 0))[0] >= _FILES_FRESH]
        if due:
            self._files |= await asyncio.to_thread(self._sizes, due, now)

    def _sizes(self, due: list[str], now: float) -> dict[str, tuple[float, int]]:
        return {container: (now, on_disk(self.engine.paths.folder(container) / "diff")) for container in due}
