"""One job, from claimed to finished, through phases that are each written down before they begin.

preparing → running → after → collecting → finished. A process that dies leaves the phase behind; the next one goes on
there. `preparing` is done over (making a box removes the one before). From `running` on the box is looked at: still
running or ended, its log is followed again from where this phase began; gone, the job fails and is tried once more. An
engine that is away is waited for. Being canceled itself (the server stops) leaves everything as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from riad.kernel import logs
from riad.kernel.faults import Fault, Kind
from riad.pipelines import predefined, store
from riad.pipelines.runner import finish, harvest
from riad.pipelines.runner.assignment import TOKEN_NAMES, Assignment, Surroundings, gather
from riad.pipelines.runner.executor import ImageUnavailable, Life, Login, Order, Owner
from riad.pipelines.runner.files import pack_script
from riad.pipelines.runner.luggage import SOCKET_FOLDER, luggage
from riad.pipelines.runner.outcome import Outcome
from riad.pipelines.runner.parts import Parts, Phase
from riad.pipelines.runner.script_text import LAUNCH, after_script
from riad.pipelines.runner.trace_writer import TraceWriter
from riad.pipelines.status import FailureReason, Status

log = logs.named("pipelines.runner")
T = TypeVar("T")


class _CanceledError(Exception):
    """Someone canceled the job."""


class _OverdueError(Exception):
    """The job has used up its time."""


class JobRun:
    def __init__(self, parts: Parts, job_id: int) -> None:
        self._parts = parts
        self._job_id = job_id
        self._canceled = asyncio.Event()
        self._consumed = 0
        self._trace = TraceWriter(parts.traces, job_id, clock=parts.clock, limit=parts.limits.trace)

    def cancel(self) -> None:
        """The job is to end early: its script is stopped, its after_script still runs."""
        self._canceled.set()

    async def run(self) -> None:
        """Returns once the job is finished in the database; `clean_up` is left to do."""
        try:
            outcome, found = await self._phases()
        except Fault as fault:
            self._trace.error(f"Job failed (system failure): {fault.message}")
            outcome, found = Outcome.system(fault.message, lost=fault.kind is Kind.NOT_FOUND), harvest.NOTHING
        except Exception as error:  # a job ends here
            log.exception("job run failed", extra=logs.fields(job=self._job_id))
            self._trace.error("Job failed (system failure): a defect in Riad; the server's log has the details")
            outcome, found = Outcome.system(f"a defect in Riad: {error!r}"), harvest.NOTHING
        self._trace.close_section()
        await asyncio.to_thread(finish.finish, self._parts, self._job_id, outcome, found)

    async def _phases(self) -> tuple[Outcome, harvest.Harvest]:
        job = await self._gather()
        phase = Phase(job.phase)
        if job.status is Status.CANCELING:
            self._canceled.set()
        outcome = Outcome.of(job.outcome)
        if phase is Phase.PREPARING:
            outcome = await self._prepare(job)
            if outcome is not None:
                return self._told(outcome), harvest.NOTHING
            phase = Phase.RUNNING
        else:
            await self._remember_secrets(job)
            await self._parts.sockets.open(job.project.path, job.job_id)
            self._trace.restart(job.trace_offset)
        if phase is Phase.RUNNING:
            outcome = await self._run_script(job)
            phase = await self._enter(Phase.AFTER, outcome=outcome.as_json())
        assert outcome is not None
        if phase is Phase.AFTER:
            await self._run_after_script(job, outcome)
            await self._enter(Phase.COLLECTING)
        found = await self._harvest(job, outcome)
        return self._told(outcome), found

    def _told(self, outcome: Outcome) -> Outcome:
        self._trace.close_section()
        match outcome.status:
            case Status.SUCCESS:
                self._trace.succeeded("Job succeeded")
            case Status.CANCELED:
                self._trace.error("Job canceled")
            case _:
                self._trace.error(f"Job failed: {outcome.message}")
        return outcome

    # -- preparing

    async def _gather(self) -> Assignment:
        def read() -> Assignment:
            parts = self._parts
            with parts.database.read() as session:
                return gather(
                    session,
                    store.job(session, self._job_id),
                    projects=parts.projects,
                    users=parts.users,
                    source=parts.source,
                    default_timeout=parts.limits.job,
                )

        self._assignment = await asyncio.to_thread(read)
        return self._assignment

    async def _prepare(self, job: Assignment) -> Outcome | None:
        """None once the box is ready to start."""
        self._trace.restart(0)
        self._trace.say(f"Running with riad {self._parts.server.version}")
        token = await self._token(job)
        around = job.surroundings(self._parts.server, token)
        self._trace.mask(around.secrets)
        try:
            await self._within(job, self._make_box(job, around, token))
        except _CanceledError:
            return Outcome.canceled()
        except _OverdueError:
            return Outcome.overdue(job.timeout)
        except ImageUnavailable as fault:
            return Outcome(Status.FAILED, FailureReason.IMAGE_PULL, fault.message)
        except Fault as fault:
            if fault.kind is Kind.UNSUPPORTED:
                return Outcome(Status.FAILED, FailureReason.UNSUPPORTED, fault.message)
            raise
        self._trace.open_section("step_script", 'Executing "step_script" stage of the job script')
        await self._enter(Phase.RUNNING)
        return None

    async def _token(self, job: Assignment) -> str:
        user_id = job.user_id if job.user_id is not None else 0
        return await asyncio.to_thread(
            self._parts.tokens.issue, user_id=user_id, project_id=job.project.id, job_id=job.job_id
        )

    async def _make_box(self, job: Assignment, around: Surroundings, token: str) -> None:
        parts = self._parts
        self._trace.open_section("prepare_executor", "Preparing the container")
        socket = await parts.sockets.open(job.project.path, job.job_id)
        order = _order(job, around, parts, token, socket)
        self._trace.open_section("get_sources", "Getting source from Git repository")
        bags = await asyncio.to_thread(luggage, parts, job, around, self._trace.say, with_engine=socket is not None)

        async def files(owner: Owner) -> BinaryIO:
            return await asyncio.to_thread(bags.pack, owner)

        try:
            await self._patiently(lambda: parts.executor.prepare(order, files, self._trace.say))
        finally:
            bags.close()

    # -- running

    async def _run_script(self, job: Assignment) -> Outcome:
        self._trace.resume_section("step_script")
        self._consumed = 0
        try:
            await self._start_once(job)
            code = await self._within(job, self._follow(job.box))
        except _CanceledError:
            await self._stop(job.box)
            return Outcome.canceled()
        except _OverdueError:
            await self._stop(job.box)
            return Outcome.overdue(job.timeout)
        finally:
            self._trace.end_output()
        return Outcome.of_script(code)

    async def _start_once(self, job: Assignment) -> None:
        """A box that has been started already is not started again, even where nobody could write that down."""
        state = await self._patiently(lambda: self._parts.executor.state(job.box))
        if state.started is None:
            await self._patiently(lambda: self._parts.executor.start(job.box))

    async def _follow(self, box: str) -> int:
        """Hands on what the box writes after the first `_consumed` bytes; its exit code once it has ended."""
        while True:
            seen = 0
            try:
                async for data in self._parts.executor.output(box):
                    seen += len(data)
                    new = seen - self._consumed
                    if new > 0:
                        self._trace.output(data[-new:])
                        self._consumed = seen
                    if self._trace.full:
                        break
                async with asyncio.timeout(None if self._trace.full else 1):
                    return await self._parts.executor.wait(box)
            except TimeoutError:
                continue  # the stream ended early, the box did not
            except Fault as fault:
                if fault.kind is not Kind.UNAVAILABLE:
                    raise
                await self._patiently(lambda: self._parts.executor.state(box))

    async def _stop(self, box: str) -> None:
        """Stops it and shows what it still had to say."""
        await self._patiently(lambda: self._parts.executor.stop(box, grace=self._parts.limits.grace))
        async with asyncio.timeout(self._parts.limits.patience):
            await self._follow(box)

    # -- after

    async def _run_after_script(self, job: Assignment, outcome: Outcome) -> None:
        if not job.plan.after_script:
            return
        executor, limit = self._parts.executor, self._parts.limits.after_script
        self._trace.open_section("after_script", "Running after_script")
        self._consumed = max(self._consumed, self._assignment.log_offset)
        if await self._first_ended(job):
            text = after_script(job.plan.after_script, folder=job.folder, job_status=outcome.status)
            now = self._parts.clock.now().timestamp()
            await self._patiently(lambda: executor.put(job.box, pack_script(text, now=now)))
            await self._patiently(lambda: executor.start(job.box))
        try:
            async with asyncio.timeout(limit):
                code = await self._follow(job.box)
            if code != 0:
                self._trace.warn(f"after_script failed with exit code {code}; the job's result stays")
        except TimeoutError:
            self._trace.warn(f"after_script did not finish within {limit} s and was stopped")
            await self._stop(job.box)
        finally:
            self._trace.end_output()

    async def _first_ended(self, job: Assignment) -> bool:
        """Whether the box's latest start is still the one of the script: then after_script has not been started."""
        state = await self._patiently(lambda: self._parts.executor.state(job.box))
        return state.life is not Life.RUNNING and state.started == self._assignment.first_start

    async def _harvest(self, job: Assignment, outcome: Outcome) -> harvest.Harvest:
        around = job.surroundings(self._parts.server, "")
        return await self._patiently(lambda: harvest.gather_in(self._parts, job, around, outcome, self._trace))

    # -- throughout

    async def _enter(self, phase: Phase, **fields: Any) -> Phase:
        """Writes down that `phase` begins, where the log stands then, and which start was the script's."""
        if phase is Phase.AFTER:
            state = await self._patiently(lambda: self._parts.executor.state(self._assignment.box))
            fields["first_start"] = state.started
        if phase is not Phase.RUNNING:
            self._trace.close_section()
        fields |= {"phase": phase, "trace_offset": self._trace.size, "log_offset": self._consumed}

        def write() -> None:
            with self._parts.database.write() as session:
                row = store.job(session, self._job_id)
                for name, value in fields.items():
                    setattr(row, name, value)

        await asyncio.to_thread(write)
        self._assignment = replace(self._assignment, **fields)
        return phase

    async def _remember_secrets(self, job: Assignment) -> None:
        """After a restart the token is known to the box alone."""
        environ = await self._patiently(lambda: self._parts.executor.environ(job.box))
        around = job.surroundings(self._parts.server, environ.get(TOKEN_NAMES[0], ""))
        self._trace.mask(around.secrets)

    async def _within(self, job: Assignment, work: Coroutine[Any, Any, T]) -> T:
        """`work`'s result. Raises _CanceledError or _OverdueError, with the work canceled."""
        left = (job.deadline - self._parts.clock.now()).total_seconds()
        task = asyncio.create_task(work)
        canceled = asyncio.create_task(self._canceled.wait())
        try:
            await asyncio.wait({task, canceled}, timeout=max(0, left), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _CanceledError if canceled.done() else _OverdueError
        finally:
            for either in (task, canceled):
                if not either.done():
                    either.cancel()
            await asyncio.gather(task, canceled, return_exceptions=True)

    async def _patiently(self, action: Callable[[], Awaitable[T]]) -> T:
        """Does it; while the engine is away, again, for `patience` seconds. Raises what else goes wrong."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._parts.limits.patience, 0.1
        while True:
            try:
                return await action()
            except Fault as fault:
                if fault.kind is not Kind.UNAVAILABLE or loop.time() > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 2)


def _order(job: Assignment, around: Surroundings, parts: Parts, token: str, socket: str | None) -> Order:
    image = job.plan.image
    name = around.expand(image.name) if image is not None else parts.image
    return Order(
        name=job.box,
        image=harvest.replaced_image(image, name),
        command=("sh", "-c", LAUNCH),
        folder=job.folder,
        environ=around.values,
        labels={"riad.job": str(job.job_id), "riad.project": job.project.path},
        services=job.services(around),
        # The folder, not the socket: a server that is started again makes a new one, which has to be seen inside.
        binds={str(Path(socket).parent): SOCKET_FOLDER} if socket is not None else {},
        login=Login(parts.server.registry, predefined.REGISTRY_USER, token),
    )


async def clean_up(parts: Parts, job_id: int) -> None:
    """Removes what a finished job leaves behind; may be repeated. Raises UNAVAILABLE while the engine is away."""

    def box() -> str | None:
        with parts.database.read() as session:
            return store.job(session, job_id).container

    def cleaned() -> None:
        with parts.database.write() as session:
            store.job(session, job_id).phase = None

    await asyncio.to_thread(parts.tokens.revoke, job_id)  # at once: removing may have to wait for the engine
    await parts.sockets.close(job_id)
    name = await asyncio.to_thread(box)
    if name is not None:
        await parts.executor.remove(name)
    await asyncio.to_thread(cleaned)
