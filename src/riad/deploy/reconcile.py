"""Keeps what runs as it was decided: live releases run and get their traffic, everything else is gone.

Looks at everything when it starts, when the engine comes back, and every `PERIOD` seconds; at one environment as soon
as the engine tells that one of its containers started or ended (a container that is started again may have another
address). Roll-outs under way are left alone: only the live release of an environment is touched.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from sqlalchemy.orm import Session

from riad.deploy import container, environments, releases, rollouts
from riad.deploy.model import Environment, EnvironmentState, Release
from riad.deploy.runner import Rollouts
from riad.deploy.store import EnvironmentRow
from riad.deploy.transactions import reading, writing
from riad.dockerclient.errors import faults_ignored
from riad.kernel import logs
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind

log = logs.named("deploy")

PERIOD = 20.0


class Reconciler:
    def __init__(self, *, database: Database, rollouts: Rollouts, period: float = PERIOD) -> None:
        self._database = database
        self._rollouts = rollouts
        self._steps = rollouts.steps
        self._own = f"{container.INSTALLATION}={self._steps.installation}"
        self._period = period
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wake(self) -> None:
        """Something is to be brought in order soon. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                self._woken.clear()
                await self._all()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._period)

    async def environment(self, environment_id: int) -> None:
        """Brings one environment in order. Raises UNAVAILABLE while engine or edge are away."""
        async with self._rollouts.routing(environment_id):
            found = await reading(self._database, lambda session: _state(session, environment_id))
            if found is None:
                return
            environment, live = found
            if live is not None:
                await self._keep(environment, live)
            elif environment.state is EnvironmentState.STOPPED and environment.slot is not None:
                await self._take_down(environment)

    async def _all(self) -> None:
        try:
            for environment_id in await reading(self._database, _occupied):
                await self._one(environment_id)
            await self._sweep()
        except Fault as fault:
            log.info("services were not looked after: %s", fault)
        except Exception:  # a task's round ends here; the next one starts afresh
            log.exception("services were not looked after")

    async def _one(self, environment_id: int) -> None:
        try:
            await self.environment(environment_id)
        except Fault as fault:
            log.warning("a service is not in order: %s", fault, extra=logs.fields(environment=environment_id))

    async def _watch(self) -> None:
        """Follows the engine's events; starts over when it comes back."""
        filters = {"type": ["container"], "label": ["riad.release", self._own]}
        while True:
            try:
                async for event in self._steps.docker.events(filters=filters):
                    labels = event.get("Actor", {}).get("Attributes", {})
                    if event.get("Action") in ("start", "destroy") and labels.get("riad.environment", "").isdigit():
                        await self._one(int(labels["riad.environment"]))
            except Fault as fault:
                log.debug("events of the engine: %s", fault)
            await asyncio.sleep(0.5)
            with faults_ignored(Kind.UNAVAILABLE):
                await self._steps.docker.ping()
                await self._all()

    async def _keep(self, environment: Environment, live: Release) -> None:
        name = container.container_name(environment, live.number)
        host = None
        with faults_ignored(Kind.NOT_FOUND):
            found = await self._steps.docker.containers.inspect(name)
            host = container.address(found, self._steps.network) if found["State"].get("Running") else None
            if found["State"].get("Restarting"):
                return  # the engine is at it; its event follows
        if host is None:
            await self._bring_back(environment, live)
            found = await self._steps.docker.containers.inspect(name)
            host = container.address(found, self._steps.network)
        if host is None or live.settings.port is None:
            return
        address = container.joined(host, live.settings.port)
        if address != live.address:
            live = await writing(self._database, lambda session: _moved(session, live.id, address))
            await self._rollouts.publish()
            log.info("a service moved", extra=logs.fields(service=environment.service, address=address))
        await self._steps.switch(environment, live)

    async def _bring_back(self, environment: Environment, live: Release) -> None:
        async def say(text: str) -> None:
            log.info("bringing back: %s", text, extra=logs.fields(service=environment.service, release=live.number))

        known = await self._steps.fetch_image(environment, live, say)
        await self._steps.start_container(environment, known, say)

    async def _take_down(self, environment: Environment) -> None:
        await self._steps.edge.close(self._steps.route(environment))
        for found in await self._containers(f"riad.environment={environment.id}"):
            await self._steps.docker.containers.remove(found["Id"], force=True)
        await writing(self._database, lambda session: rollouts.vacate(session, environment.id))
        await self._rollouts.publish()

    async def _sweep(self) -> None:
        """Removes containers of releases that nobody counts on: of deleted environments, or left by a crash."""
        running = await self._containers("riad.release")
        needed = await reading(self._database, rollouts.needed_releases)  # after the list: what is new is in both
        for found in running:
            if (found.get("Labels") or {}).get("riad.release") not in needed:
                log.info("removing a container that no release needs", extra=logs.fields(names=found.get("Names")))
                await self._steps.docker.containers.remove(found["Id"], force=True)

    async def _containers(self, label: str) -> list[dict[str, Any]]:
        return list(await self._steps.docker.containers.list(stopped=True, filters={"label": [label, self._own]}))


def _state(session: Session, environment_id: int) -> tuple[Environment, Release | None] | None:
    row = session.get(EnvironmentRow, environment_id)
    return (row.value(), releases.live(session, environment_id)) if row is not None else None


def _moved(session: Session, release_id: int, address: str) -> Release:
    rollouts.note_address(session, release_id, address)
    session.flush()
    return releases.get(session, release_id)


def _occupied(session: Session) -> list[int]:
    """Environments with a place at the edge."""
    return [environment.id for environment in environments.at_the_edge(session)]
