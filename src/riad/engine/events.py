"""What happened in the engine, as `docker events` tells it: live streams, and a memory of the past.

The memory is bounded (a client that comes back after a while reads what it missed) and survives the daemon: it is
written to the state database together, a moment after the first of a burst, so that the life of a container waits for
no further transaction. A daemon that is killed forgets at most that moment.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from riad.engine.state import State
from riad.kernel import logs
from riad.kernel.clock import Clock

_log = logs.named("engine.events")
_REMEMBERED = 1024
_QUEUED = 4096
_WRITTEN_AFTER = 0.5
"""Seconds."""

_INSERT = "INSERT INTO happening (kind, action, subject, attributes, at) VALUES (?, ?, ?, ?, ?)"
_TRIM = "DELETE FROM happening WHERE number <= (SELECT max(number) FROM happening) - ?"
_SCHEMA = (
    """
    CREATE TABLE happening (
        number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
        attributes TEXT NOT NULL, at TEXT NOT NULL)
    """,
)


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

    def __init__(self, clock: Clock, state: State | None = None) -> None:
        self._clock = clock
        self._state = state
        self._past: deque[Event] = deque(maxlen=_REMEMBERED)
        self._unwritten: list[Event] = []
        self.published = 0
        self._listeners: set[asyncio.Queue[Event]] = set()
        if state is not None:
            state.migrate("events", _SCHEMA)
            self._past.extend(_read(state))

    def publish(self, kind: str, action: str, subject: str, attributes: Mapping[str, str] | None = None) -> None:
        event = Event(kind, action, subject, dict(attributes or {}), self._clock.now())
        self.published += 1
        self._past.append(event)
        self._remember(event)
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

    def _remember(self, event: Event) -> None:
        if self._state is None:
            return
        self._unwritten.append(event)
        if len(self._unwritten) == 1:
            asyncio.get_running_loop().call_later(_WRITTEN_AFTER, self.write)

    def write(self) -> None:
        """Makes durable what has happened since the last time; called when the daemon closes, too."""
        if self._state is None or not self._unwritten:
            return
        rows = [
            (event.kind, event.action, event.subject, json.dumps(dict(event.attributes)), event.at.isoformat())
            for event in self._unwritten
        ]
        self._unwritten.clear()
        with self._state.transaction() as sql:
            sql.executemany(
                "INSERT INTO happening (kind, action, subject, attributes, at) VALUES (?, ?, ?, ?, ?)", rows
            )
            sql.execute("DELETE FROM happening WHERE number <= (SELECT max(number) FROM happening) - ?", (_REMEMBERED,))


def _read(state: State) -> Iterator[Event]:
    for row in state.connection.execute("SELECT * FROM happening ORDER BY number").fetchall():
        attributes = json.loads(row["attributes"])
        yield Event(row["kind"], row["action"], row["subject"], attributes, datetime.fromisoformat(row["at"]))


async def _drain(queue: asyncio.Queue[Event]) -> AsyncIterator[Event]:
    while True:
        yield await queue.get()
