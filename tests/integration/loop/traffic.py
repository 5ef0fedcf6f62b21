"""A client of a service that never rests: so many requests a second, each of which has to be answered with 200.

Every other request is a GET on a connection of its own, the rest are POSTs on kept connections: what a client may not
send again by itself, so nothing that goes wrong is hidden.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import aiohttp


@dataclass
class Traffic:
    """Use with `with`; `failures` say when (seconds from the start) and why, `seen` counts the texts answered."""

    port: int
    service: str
    rate: float
    answered: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _began: float = 0.0

    def __enter__(self) -> Traffic:
        self._began = time.monotonic()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def sent(self) -> int:
        return self.answered + len(self.failures)

    async def _run(self) -> None:
        fresh, kept = aiohttp.TCPConnector(force_close=True, limit=0), aiohttp.TCPConnector(limit=0)
        headers, timeout = {"Host": f"{self.service}.localhost:{self.port}"}, aiohttp.ClientTimeout(total=20)
        async with (
            aiohttp.ClientSession(connector=fresh, headers=headers, timeout=timeout) as getting,
            aiohttp.ClientSession(connector=kept, headers=headers, timeout=timeout) as posting,
            asyncio.TaskGroup() as group,
        ):
            due = time.monotonic()
            while not self._stop.is_set():
                group.create_task(self._send(getting, "GET"))
                group.create_task(self._send(posting, "POST"))
                due += 2 / self.rate
                await asyncio.sleep(max(0, due - time.monotonic()))

    async def _send(self, session: aiohttp.ClientSession, method: str) -> None:
        began = time.monotonic()
        try:
            async with session.request(method, f"http://127.0.0.1:{self.port}/") as answer:
                text = (await answer.text()).strip()
                if answer.status != 200:
                    raise ValueError(f"{answer.status} {text[:200]}")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.failures.append(f"{began - self._began:.2f} s: {method} {error!r}")
        else:
            self.answered += 1
            self.seen[text] = self.seen.get(text, 0) + 1
            self.slowest = max(self.slowest, time.monotonic() - began)
