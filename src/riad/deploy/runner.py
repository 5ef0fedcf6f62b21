"""Carries out roll-outs: what `plan` decided, step by step, each written down when it is done.

A server that was killed goes on with every unfinished roll-out when it starts again: up to the switch it carries out
every step again (a container may have died meanwhile), after it only those that are left. The engine or the edge being
away is waited for (`patience` seconds); any other failure before the switch fails the roll-out: the old release goes
on serving and the new container is removed. After the switch nothing can fail it any more; cleaning up is repeated
until it works. Roll-outs of one environment run one after another, in the order they were asked for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from time import monotonic
from typing import TypeVar, assert_never

from sqlalchemy.orm import Session

from riad.deploy import releases, rollouts
from riad.deploy.model import ReleaseState, RolloutState
from riad.deploy.plan import After as AfterStep
from riad.deploy.plan import Before as BeforeStep
from riad.deploy.plan import (
    Drain,
    FetchImage,
    PruneImages,
    RemoveContainer,
    StartContainer,
    SwitchTraffic,
    WaitHealthy,
)
from riad.deploy.rollouts import Work
from riad.deploy.steps import Steps
from riad.deploy.transactions import reading, writing
from riad.kernel import logs
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind

log = logs.named("deploy")

PATIENCE = 60.0
REPEAT_AFTER = 5.0

T = TypeVar("T")


class Rollouts:
    """`publish` writes the edge's files anew; it is called (in a thread) whenever a route has changed."""

    def __init__(
        self,
        *,
        database: Database,
        steps: Steps,
        clock: Clock,
        url_of: Callable[[str], str],
        publish: Callable[[], None] = lambda: None,
        patience: float = PATIENCE,
    ) -> None:
        self._database = database
        self.steps = steps
        self._clock = clock
        self._url_of = url_of
        self._publish = publish
        self._patience = patience
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._routes: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._progress: dict[int, asyncio.Event] = {}
        self._publishing = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- from outside

    async def run(self) -> None:
        """Until cancelled. Cancelling loses nothing: the next run goes on."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                for rollout in await reading(self._database, rollouts.unfinished):
                    if rollout.id not in self._tasks:
                        self._tasks[rollout.id] = group.create_task(self._carry_out(rollout.id, rollout.environment_id))
                try:
                    await asyncio.wait_for(self._woken.wait(), REPEAT_AFTER)
                except TimeoutError:
                    continue

    def wake(self) -> None:
        """A roll-out was queued. May be called from any thread, and before `run`."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    def routing(self, environment_id: int) -> asyncio.Lock:
        """Held by whoever changes where an environment's traffic goes."""
        return self._routes[environment_id]

    async def publish(self) -> None:
        async with self._publishing:
            await asyncio.to_thread(self._publish)

    async def follow(self, rollout_id: int, after: int = 0) -> AsyncIterator[str]:
        """What the user is told, line by line, without the first `after` lines, until it is decided how it ends."""
        while True:
            progress = self._progress.setdefault(rollout_id, asyncio.Event())
            progress.clear()
            work = await reading(self._database, lambda session: rollouts.load(session, rollout_id))
            told = partial(rollouts.lines, rollout_id=rollout_id, after=after)
            for line in await reading(self._database, told):
                after += 1
                yield line
            if work.rollout.state.decided:
                return
            try:
                await asyncio.wait_for(progress.wait(), 1)
            except TimeoutError:
                continue

    # -- one roll-out

    async def _carry_out(self, rollout_id: int, environment_id: int) -> None:
        try:
            async with self._turns[environment_id]:
                work = await writing(self._database, lambda session: rollouts.begin(session, rollout_id))
                if work.rollout.state is RolloutState.RUNNING:
                    await self._bring_up(work)
            work = await reading(self._database, lambda session: rollouts.load(session, rollout_id))
            await self._clean_up(work)
            self._progress.pop(rollout_id, None)
        except Exception:  # a task ends here; the roll-out is taken up again
            log.exception("a roll-out was interrupted", extra=logs.fields(rollout=rollout_id))
            await asyncio.sleep(REPEAT_AFTER)
            self._woken.set()
        finally:
            self._tasks.pop(rollout_id, None)

    async def _bring_up(self, work: Work) -> None:
        if work.rollout.steps_done == 0:
            what = f"rolling {'back to' if work.release.of else 'out'} release {work.release.of or work.release.number}"
            await self._say(work, f"{what} of {work.environment.service}: {work.release.image}")
        try:
            for number, step in enumerate(work.plan.before, start=1):
                work = await self._patiently(work, partial(self._before, work, step))
                if not isinstance(step, SwitchTraffic):
                    await self._note_step(work, number)
        except Exception as error:
            if not isinstance(error, Fault):
                log.exception("a roll-out failed", extra=logs.fields(rollout=work.rollout.id))
            await self._fail(work, str(error) or type(error).__name__)

    async def _before(self, work: Work, step: BeforeStep) -> Work:
        environment, release = work.environment, work.release
        match step:
            case FetchImage():
                known = await self.steps.fetch_image(environment, release, lambda text: self._say(work, text))
                await writing(self._database, lambda session: rollouts.note_image(session, known))
            case StartContainer():
                await self.steps.start_container(environment, release, lambda text: self._say(work, text))
            case WaitHealthy():
                address = await self.steps.wait_healthy(environment, release, lambda text: self._say(work, text))
                await writing(self._database, lambda session: rollouts.note_address(session, release.id, address))
            case SwitchTraffic():
                await self._switch(work)
            case _:
                assert_never(step)
        return await reading(self._database, lambda session: rollouts.load(session, work.rollout.id))

    async def _switch(self, work: Work) -> None:
        async with self.routing(work.environment.id):
            await self.steps.switch(work.environment, work.release)
            url = self._url_of(work.environment.service)
            number = len(work.plan.before)

            def note(session: Session) -> None:
                rollouts.say(
                    session, work.rollout.id, f"release {work.release.number} answers on {url}", clock=self._clock
                )
                rollouts.go_live(session, work.rollout.id, number, clock=self._clock)

            await writing(self._database, note)
        self._tell(work)
        await self.publish()

    async def _fail(self, work: Work, reason: str) -> None:
        stays = f"; release {work.previous.number} goes on serving" if work.previous else ""
        head, _, rest = reason.partition("\n")

        def note(session: Session) -> None:
            rollouts.say(session, work.rollout.id, f"{head}{stays}\n{rest}".rstrip(), clock=self._clock)
            rollouts.fail(session, work.rollout.id, reason, clock=self._clock)

        await writing(self._database, note)
        self._tell(work)

    async def _clean_up(self, work: Work) -> None:
        if work.rollout.state is RolloutState.FAILING:
            number = work.release.number
            text = await self._patiently(work, lambda: self.steps.container_log(work.environment, number))
            await writing(self._database, lambda session: rollouts.keep_log(session, work.release.id, text))
            await self._patiently(work, lambda: self._restore(work))
            await self._patiently(work, lambda: self.steps.drain(work.environment, number))
            await self._patiently(work, lambda: self.steps.remove_container(work.environment, number))
        elif work.rollout.state is RolloutState.CLEANING:
            first = max(work.rollout.steps_done, len(work.plan.before))
            for done, step in enumerate(work.plan.left_after(work.rollout.steps_done), start=first + 1):
                await self._patiently(work, partial(self._after, work, step))
                await self._note_step(work, done)
        if not work.rollout.state.over:
            await writing(self._database, lambda session: rollouts.finish(session, work.rollout.id))

    async def _restore(self, work: Work) -> None:
        async with self.routing(work.environment.id):
            live = await reading(self._database, lambda session: releases.live(session, work.environment.id))
            await self.steps.restore(work.environment, live)

    async def _after(self, work: Work, step: AfterStep) -> None:
        match step:
            case Drain(number):
                await self.steps.drain(work.environment, number)
            case RemoveContainer(number):
                await self.steps.remove_container(work.environment, number)
            case PruneImages():
                await self._prune(work)
            case _:
                assert_never(step)

    async def _prune(self, work: Work) -> None:
        history = await reading(self._database, lambda s: releases.of_environment(s, work.environment.id))
        needed = await reading(self._database, releases.kept_images)
        gone = [r for r in history if r.state is not ReleaseState.DEPLOYING and r.image not in needed]
        for release in gone[:3]:  # each roll-out makes one superfluous; the few before it are those that were in use
            await self.steps.remove_image(release)

    # -- small things

    async def _patiently(self, work: Work, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeats `attempt` while the engine or the edge is away, `patience` seconds long."""
        began, told = monotonic(), False
        while True:
            try:
                return await attempt()
            except Fault as fault:
                if fault.kind is not Kind.UNAVAILABLE or monotonic() - began > self._patience:
                    raise
                if not told and not work.rollout.state.decided:
                    told = True
                    await self._say(work, f"waiting: {fault.message}")
            await asyncio.sleep(0.2)

    async def _note_step(self, work: Work, done: int) -> None:
        await writing(self._database, lambda session: rollouts.note_step(session, work.rollout.id, done))

    async def _say(self, work: Work, text: str) -> None:
        await writing(self._database, lambda session: rollouts.say(session, work.rollout.id, text, clock=self._clock))
        self._tell(work)

    def _tell(self, work: Work) -> None:
        if progress := self._progress.get(work.rollout.id):
            progress.set()
