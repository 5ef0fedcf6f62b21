"""The builds that are going on, by the reference that their client chose.

One build of a client is several calls on several connections: Control.Solve waits for the whole, Status follows it, and
the client's own build function calls the gateway, whose last call gives the result to export. They meet here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from riad.engine.build.solve import Solved
from riad.engine.buildkit.grpc import CallFailed, Code
from riad.engine.buildkit.messages.common import Status
from riad.engine.buildkit.messages.control import SolveRequest
from riad.engine.buildkit.messages.gateway import Result
from riad.engine.buildkit.status import Reporter
from riad.kernel.clock import Clock

_WAIT = 10.0
_REMEMBERED = 32
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result that a client may export or read from: what was solved, and what the frontend says of it."""

    solved: Solved | None
    metadata: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Job:
    """`stack` keeps what the outcomes need until the job ends."""

    request: SolveRequest
    reporter: Reporter
    stack: AsyncExitStack
    returned: asyncio.Future[Result | None]
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> str:
        name = secrets.token_hex(12)
        self.outcomes[name] = outcome
        return name

    def returning(self, result: Result | None, error: Status | None) -> None:
        """The client's build function has ended."""
        if self.returned.done():
            return
        if error is not None and error.code:
            self.returned.set_exception(CallFailed(error.code, error.message, error.details))
            self.returned.exception()  # whoever waits gets it; if nobody does, it is no defect
        else:
            self.returned.set_result(result)


class Jobs:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[str, Job] = {}
        self._ended: OrderedDict[str, Reporter] = OrderedDict()
        self._begun = asyncio.Condition()

    @asynccontextmanager
    async def running(self, request: SolveRequest) -> AsyncIterator[Job]:
        """Raises INVALID_ARGUMENT for a reference that another build has."""
        if request.ref in self._running or not request.ref:
            raise CallFailed(Code.INVALID_ARGUMENT, f"job ID {request.ref} exists")
        async with AsyncExitStack() as stack:
            reporter = Reporter(request.ref, self._clock)
            job = Job(request, reporter, stack, asyncio.get_running_loop().create_future())
            async with self._begun:
                self._running[request.ref] = job
                self._begun.notify_all()
            try:
                yield job
            finally:
                del self._running[request.ref]
                reporter.close()
                self._ended[request.ref] = reporter
                while len(self._ended) > _REMEMBERED:
                    self._ended.popitem(last=False)

    async def progress(self, ref: str) -> Reporter:
        """Of a job, also of one that ended before its client could ask. Raises NOT_FOUND."""
        ended = self._ended.get(ref)
        return ended if ended is not None else await self._get(ref, lambda: self._progress(ref))

    def _progress(self, ref: str) -> Reporter | None:
        job = self._running.get(ref)
        return self._ended.get(ref) if job is None else job.reporter

    async def get(self, ref: str) -> Job:
        """Waits for a job that its client is just beginning. Raises NOT_FOUND."""
        return await self._get(ref, lambda: self._running.get(ref))

    async def _get(self, ref: str, look: Callable[[], T | None]) -> T:
        try:
            async with asyncio.timeout(_WAIT), self._begun:
                while (found := look()) is None:
                    await self._begun.wait()
                return found
        except TimeoutError:
            raise CallFailed(Code.NOT_FOUND, f"no such job {ref}") from None
