"""Looks after links of released containers that the kernel has not removed by itself.

A namespace's links go with it, but the kernel takes its time, and a stray process may keep the namespace alive.
Deleting a link at once would cost the releasing request 20 to 40 ms, and every other program waits meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from riad.engine.networks.links import Wiring

SWEEP_AFTER = 1.0
"""Seconds from a release until its links are looked for."""


class Sweeper:
    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._numbers: list[int] = []
        self._task: asyncio.Task[None] | None = None

    def later(self, numbers: Iterable[int]) -> None:
        """Numbers of endpoints that are no more."""
        self._numbers.extend(numbers)
        if self._numbers and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._soon())

    async def flush(self) -> None:
        """Does now what was put off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._sweep()

    async def _soon(self) -> None:
        await asyncio.sleep(SWEEP_AFTER)
        await self._sweep()

    async def _sweep(self) -> None:
        numbers, self._numbers = self._numbers, []
        await asyncio.to_thread(self._wiring.sweep_links, numbers)
