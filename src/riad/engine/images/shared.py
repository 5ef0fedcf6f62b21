"""Downloads under way, so that who wants the same layer at the same time waits for it and sees how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from riad.engine.images.progress import Line, Report
from riad.oci.digest import Digest


class UnderWay:
    def __init__(self, owner: Report) -> None:
        self._reports = [owner]
        self._over = asyncio.Event()

    async def report(self, line: Line) -> None:
        first, *others = list(self._reports)
        for other in others:
            try:
                await other(line)
            except (ConnectionError, RuntimeError):
                self._reports.remove(other)  # its client went away, which must not end the download of the rest
        await first(line)

    async def wait(self, report: Report) -> None:
        """Until it is over, well or not."""
        self._reports.append(report)
        try:
            await self._over.wait()
        finally:
            if report in self._reports:
                self._reports.remove(report)

    def end(self) -> None:
        self._over.set()


class Shared:
    def __init__(self) -> None:
        self._jobs: dict[Digest, UnderWay] = {}

    def get(self, layer: Digest) -> UnderWay | None:
        return self._jobs.get(layer)

    @contextmanager
    def sharing(self, layer: Digest, report: Report) -> Iterator[Report]:
        """The block fetches `layer`; what it says goes to all who wait for it."""
        job = self._jobs[layer] = UnderWay(report)
        try:
            yield job.report
        finally:
            del self._jobs[layer]
            job.end()
