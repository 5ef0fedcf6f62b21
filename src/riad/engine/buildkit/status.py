"""A build's progress as BuildKit's clients show it: vertices that start, log and complete.

A vertex is a step that makes files, or other work worth a line. Its digest only has to be the same each time it is told
of within one build. Everything is kept, so that a client that asks late, or twice, sees the whole.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

from riad.engine.build.progress import (
    CacheUsed,
    Event,
    Output,
    PullProgress,
    StepFailed,
    StepFinished,
    StepStarted,
    Warned,
    WorkAdvanced,
    WorkFinished,
    WorkStarted,
)
from riad.engine.buildkit.messages.common import Range, SourceInfo
from riad.engine.buildkit.messages.control import StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning
from riad.kernel.clock import Clock

CANCELED = "context canceled"
_STDOUT = 1


_News = Vertex | VertexStatus | VertexLog | VertexWarning


class Reporter:
    """Told by a build (`tell`), read by any number of clients (`follow`)."""

    def __init__(self, ref: str, clock: Clock) -> None:
        self._ref = ref
        self._clock = clock
        self._news: list[_News] = []
        self._more = asyncio.Event()
        self._closed = False
        self._steps: dict[int, str] = {}
        self._works: dict[int, str] = {}
        self._open: dict[str, Vertex] = {}
        self._begun: dict[tuple[str, str], int] = {}

    async def tell(self, stage: int, event: Event) -> None:
        now = self._now()
        match event:
            case StepStarted(place=place):
                self._steps.pop(stage, None)
                if place:
                    self._steps[stage] = place
                    self._start(place, now)
            case CacheUsed() if stage in self._steps:
                name = self._steps[stage]
                self._open[name] = replace(self._open[name], cached=True)
            case Output(data) if stage in self._steps:
                self._add(VertexLog(self._digest(self._steps[stage]), now, _STDOUT, data))
            case StepFinished() if stage in self._steps:
                self._finish(self._steps.pop(stage), now)
            case StepFailed(message) if stage in self._steps:
                self._finish(self._steps.pop(stage), now, error=message)
            case WorkStarted(name):
                self._works[stage] = name
                self._start(name, now)
            case WorkAdvanced(name, part, current, total, done):
                self._advance(name, part, current, total, done=done)
            case WorkFinished(name, error, cached):
                if name in self._open:
                    self._open[name] = replace(self._open[name], cached=cached)
                    self._finish(name, now, error=error)
            case PullProgress(detail) if stage in self._works:
                self._pulled(self._works[stage], detail)
            case Warned(message):
                self.warn(message)
            case _:
                pass

    def warn(
        self,
        short: str,
        *,
        detail: tuple[str, ...] = (),
        url: str = "",
        source: SourceInfo | None = None,
        ranges: tuple[Range, ...] = (),
    ) -> None:
        """A finding that does not fail the build; shown under the build's first line."""
        first = next((news.digest for news in self._news if isinstance(news, Vertex)), self._digest("warnings"))
        lines = tuple(line.encode() for line in detail)
        self._add(VertexWarning(first, 1, short.encode(), lines, url, source, ranges))

    def close(self) -> None:
        """Nothing more comes; what is still open was given up."""
        for name in list(self._open):
            self._finish(name, self._now(), error=CANCELED)
        self._closed = True
        self._more.set()

    async def follow(self) -> AsyncIterator[StatusResponse]:
        """All from the beginning until the build ends."""
        at = 0
        while True:
            if at < len(self._news):
                some, at = self._news[at:], len(self._news)
                yield _response(some)
                continue
            if self._closed:
                return
            self._more.clear()
            await self._more.wait()

    def _start(self, name: str, now: int) -> None:
        self._open[name] = Vertex(self._digest(name), name=name, started=now)
        self._add(self._open[name])

    def _finish(self, name: str, now: int, *, error: str = "") -> None:
        vertex = self._open.pop(name, None)
        if vertex is not None:
            self._add(replace(vertex, completed=now, error=error))

    def _advance(self, name: str, part: str, current: int, total: int, *, done: bool) -> None:
        now = self._now()
        begun = self._begun.setdefault((name, part), now)
        self._add(VertexStatus(part, self._digest(name), part, current, total, now, begun, now if done else 0))

    def _pulled(self, name: str, detail: dict[str, object]) -> None:
        layer, status = str(detail.get("id", "")), str(detail.get("status", ""))
        amount = detail.get("progressDetail")
        if not layer or not isinstance(amount, dict):
            return
        done = status in ("Download complete", "Pull complete", "Already exists")
        current, total = int(amount.get("current") or 0), int(amount.get("total") or 0)
        self._advance(name, f"{status.split(' ')[0].lower()} {layer}", current, total, done=done)

    def _add(self, news: _News) -> None:
        self._news.append(news)
        self._more.set()

    def _digest(self, name: str) -> str:
        return "sha256:" + hashlib.sha256(f"{self._ref}\0{name}".encode()).hexdigest()

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 10**6) * 1000


def _response(news: list[_News]) -> StatusResponse:
    return StatusResponse(
        tuple(n for n in news if isinstance(n, Vertex)),
        tuple(n for n in news if isinstance(n, VertexStatus)),
        tuple(n for n in news if isinstance(n, VertexLog)),
        tuple(n for n in news if isinstance(n, VertexWarning)),
    )
