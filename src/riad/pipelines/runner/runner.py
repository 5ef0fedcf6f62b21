"""The loop that runs jobs: claims what is pending, hands on cancellations, wakes what is delayed, resumes at start.

It sleeps until `notify` (any thread) or until the next delayed job is due; a slow poll covers a lost notification.
One instance per database.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.kernel import logs
from riad.kernel.faults import Fault
from riad.pipelines import codec
from riad.pipelines.advance import advance, set_status
from riad.pipelines.expire import expire
from riad.pipelines.runner.job_run import JobRun, clean_up
from riad.pipelines.runner.parts import Parts, Phase
from riad.pipelines.status import Status
from riad.pipelines.store import JobRow, jobs_in

log = logs.named("pipelines.runner")

POLL = 5.0
AGAIN_PAUSE = 5.0
CLEAN_PAUSE = 5.0
CLEAN_PAUSE_MOST = 300.0
EXPIRE_EVERY = 3600.0


@dataclass(frozen=True, slots=True)
class _Tick:
    """What one look at the database gave."""

    claimed: tuple[int, ...]
    canceling: tuple[int, ...]
    next_due: datetime | None


class Runner:
    def __init__(self, parts: Parts, *, concurrency: int = 2, tags: Collection[str] = ("docker", "linux")) -> None:
        self._parts = parts
        self._concurrency = concurrency
        self.tags = frozenset(tags)
        self._active: dict[int, JobRun] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def notify(self) -> None:
        """Something has changed that may concern jobs. From any thread; harmless when the runner does not run."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Until canceled. Containers go on then; the next `run` finds them again."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            running, cleaning = await asyncio.to_thread(self._left_behind)
            for job_id in running:
                self._start(group, job_id)
            for job_id in cleaning:
                group.create_task(self._clean(job_id))
            group.create_task(self._expire())
            while True:
                self._wake.clear()
                tick = await asyncio.to_thread(self._tick)
                for job_id in tick.claimed:
                    self._start(group, job_id)
                for job_id in tick.canceling:
                    if job_id in self._active:
                        self._active[job_id].cancel()
                await self._sleep(tick.next_due)

    async def _sleep(self, until: datetime | None) -> None:
        left = (until - self._parts.clock.now()).total_seconds() if until is not None else POLL
        try:
            async with asyncio.timeout(max(0.01, min(POLL, left))):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _start(self, group: asyncio.TaskGroup, job_id: int) -> None:
        run = self._active[job_id] = JobRun(self._parts, job_id)
        group.create_task(self._job(group, job_id, run))

    async def _job(self, group: asyncio.TaskGroup, job_id: int, run: JobRun) -> None:
        try:
            while not await self._has_run(job_id, run):
                await asyncio.sleep(AGAIN_PAUSE)
                run = self._active[job_id] = JobRun(self._parts, job_id)
        finally:
            self._active.pop(job_id, None)
            self._wake.set()
        group.create_task(self._clean(job_id))

    async def _has_run(self, job_id: int, run: JobRun) -> bool:
        """False where its end could not be written down: it is taken up again, as after a restart."""
        try:
            await run.run()
        except Exception:  # a task's attempt ends here
            log.exception("a job could not be finished", extra=logs.fields(job=job_id))
            return False
        return True

    async def _clean(self, job_id: int) -> None:
        """Until it has worked: an engine may be away for long."""
        pause = CLEAN_PAUSE
        while True:
            try:
                await clean_up(self._parts, job_id)
                return
            except Fault as fault:
                log.warning("clean-up failed: %s", fault, extra=logs.fields(job=job_id))
            except Exception:  # a task's attempt ends here
                log.exception("clean-up failed", extra=logs.fields(job=job_id))
            await asyncio.sleep(pause)
            pause = min(2 * pause, CLEAN_PAUSE_MOST)

    async def _expire(self) -> None:
        while True:
            try:
                await asyncio.to_thread(expire, self._parts.database, self._parts.blobs, clock=self._parts.clock)
            except Exception:  # a task's round ends here
                log.exception("expired artifacts could not be removed")
            await asyncio.sleep(EXPIRE_EVERY)

    # -- database, in a thread

    def _left_behind(self) -> tuple[list[int], list[int]]:
        with self._parts.database.read() as session:
            running = [row.id for row in jobs_in(session, Status.RUNNING, Status.CANCELING)]
            cleaning = session.scalars(select(JobRow.id).where(JobRow.phase == Phase.CLEANING)).all()
        return running, list(cleaning)

    def _tick(self) -> _Tick:
        free = self._concurrency - len(self._active)
        with self._parts.database.read() as session:
            waiting = jobs_in(session, Status.PENDING, Status.SCHEDULED, Status.CANCELING)
        now = self._parts.clock.now()
        due = [row for row in waiting if row.status == Status.SCHEDULED and (row.scheduled_at or now) <= now]
        pending = [row for row in waiting if row.status == Status.PENDING and self._takes(row)]
        claimed: list[int] = []
        if due or (pending and free > 0):
            with self._parts.database.write() as session:
                for row in due:
                    self._wake_scheduled(session, row.id)
                ready = [row for row in jobs_in(session, Status.PENDING) if self._takes(row)]
                claimed = [row.id for row in ready[: max(0, free)] if self._claim(session, row)]
        later = [row.scheduled_at for row in waiting if row.status == Status.SCHEDULED and row not in due]
        return _Tick(
            claimed=tuple(claimed),
            canceling=tuple(row.id for row in waiting if row.status == Status.CANCELING),
            next_due=min((at for at in later if at is not None), default=None),
        )

    def _takes(self, row: JobRow) -> bool:
        return set(row.plan.get("tags") or ()) <= self.tags

    def _wake_scheduled(self, session: Session, job_id: int) -> None:
        row = session.get_one(JobRow, job_id)
        if row.status == Status.SCHEDULED:
            set_status(session, row, Status.PENDING, clock=self._parts.clock)
            advance(session, row.pipeline_id, clock=self._parts.clock)

    def _claim(self, session: Session, row: JobRow) -> bool:
        """The intention to run it: from here on a restart goes on with it."""
        set_status(session, row, Status.RUNNING, clock=self._parts.clock)
        timeout = codec.from_json(row.plan).timeout or self._parts.limits.job
        row.phase = Phase.PREPARING
        row.container = f"riad-job-{row.id}-{secrets.token_hex(4)}"
        row.deadline = self._parts.clock.now() + timedelta(seconds=timeout)
        advance(session, row.pipeline_id, clock=self._parts.clock)
        return True
