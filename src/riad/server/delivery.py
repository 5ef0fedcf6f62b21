"""Delivers what happened to its reactions: at once when woken, else every few seconds (a retry, another process)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from riad.kernel import outbox
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.outbox import Reaction

EVERY = 3.0


class Delivery:
    def __init__(self, database: Database, reactions: Mapping[str, Sequence[Reaction]], *, clock: Clock) -> None:
        self._database = database
        self._reactions = reactions
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something happened. May be called from any thread, and before `run`."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            await asyncio.to_thread(outbox.deliver, self._database, self._reactions, clock=self._clock)
            try:
                await asyncio.wait_for(self._woken.wait(), EVERY)
            except TimeoutError:
                continue
