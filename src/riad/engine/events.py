"""What happened in the engine, as `docker events` tells it: a short memory of the past, and live streams."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from riad.kernel.clock import Clock

_REMEMBERED = 1024
_QUEUED = 4096


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is container, image, network, volume, builder or daemon; `subject` the id or name it is about."""

    kind: str
    action: str
    subject: str
    attributes: Mapping[str, str]
    at: datetime


class Events:
    """Publishing never waits: a listener that does not keep up loses events, the engine does not stand still."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._past: deque[Event] = deque(maxlen=_REMEMBERED)
        self._listeners: set[asyncio.Queue[Event]] = set()

    def publish(self, kind: str, action: str, subject: str, attributes: Mapping[str, str] | None = None) -> None:
        event = Event(kind, action, subject, dict(attributes or {}), self._clock.now())
        self._past.append(event)
        for listener in self._listeners:
            if not listener.full():
                listener.put_nowait(event)

    def past(self) -> list[Event]:
        """Oldest first."""
        return list(self._past)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    @contextmanager
    def listening(self) -> Iterator[AsyncIterator[Event]]:
        """Everything that happens from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_QUEUED)
        self._listeners.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._listeners.discard(queue)


async def _drain(queue: asyncio.Queue[Event]) -> AsyncIterator[Event]:
    while True:
        yield await queue.get()
