"""One at a time by name: a lock for each key that somebody is at, forgotten when nobody is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class Turns:
    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._present: Counter[str] = Counter()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._present[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._leave(key)

    @contextmanager
    def seen(self, key: str) -> Iterator[None]:
        """Counts as being there without waiting for a turn."""
        self._present[key] += 1
        try:
            yield
        finally:
            self._leave(key)

    def _leave(self, key: str) -> None:
        self._present[key] -= 1
        if not self._present[key]:
            del self._present[key]
            self._locks.pop(key, None)

    def taken(self, key: str) -> bool:
        return self._present[key] > 0
