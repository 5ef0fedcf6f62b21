"""What containers use, sampled once a second for all that somebody watches, however many watch one container.

A sample is a dozen reads of files (see `host.usage`) and no process; between two containers others get their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from riad.engine.containers.create import shares_network_with
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.host import usage
from riad.engine.host.usage import HostCpu, Link, Usage

INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """`used` is None for a container that does not run: then there is nothing to tell but its name."""

    container: Container
    at: datetime
    used: Usage | None = None
    host: HostCpu | None = None
    links: Mapping[str, Link] = field(default_factory=dict)


def runs(container: Container) -> bool:
    return container.phase in (Phase.RUNNING, Phase.PAUSED)


def _links(engine: Engine, container: Container) -> dict[str, Link]:
    """The container's own interfaces, or those of the container whose network it shares; none on the host's."""
    owner = container
    while other := shares_network_with(owner.settings.host):
        found = engine.registry.get(other)
        if found is None or not runs(found):
            return {}
        owner = found
    sandbox = engine.networks.inspect(owner.id)
    if sandbox is None or sandbox.netns is None:
        return {}
    return usage.links_of(owner.run.pid)


def sample(engine: Engine, container: Container, host: HostCpu | None = None) -> Sample:
    """One sample now."""
    if not runs(container):
        return Sample(container, engine.clock.now())
    host = host or usage.host_cpu()
    used = usage.of_group(engine.group(container))
    return Sample(container, engine.clock.now(), used, host, _links(engine, container))


@dataclass(slots=True)
class Sampler:
    """Hands one sample a second of each watched container to everybody who watches it."""

    engine: Engine
    _watchers: dict[str, set[asyncio.Queue[Sample | None]]] = field(default_factory=dict)
    _clock: asyncio.Task[None] | None = None

    async def watch(self, container: Container) -> AsyncGenerator[Sample, None]:
        """A sample at once, then one every second until the container is removed. Close it with `aclosing`."""
        queue: asyncio.Queue[Sample | None] = asyncio.Queue(maxsize=2)
        yield sample(self.engine, self.engine.registry.fresh(container))
        self._watchers.setdefault(container.id, set()).add(queue)
        if self._clock is None or self._clock.done():
            self._clock = self.engine.spawn(self._tick())
        try:
            while (found := await queue.get()) is not None:
                yield found
        finally:
            self._forget(container.id, queue)

    def _forget(self, container_id: str, queue: asyncio.Queue[Sample | None]) -> None:
        watching = self._watchers.get(container_id, set())
        watching.discard(queue)
        if not watching:
            self._watchers.pop(container_id, None)
        if not self._watchers and self._clock is not None:
            self._clock.cancel()
            self._clock = None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            host = usage.host_cpu()
            for container_id in list(self._watchers):
                container = self.engine.registry.get(container_id)
                found = None if container is None else sample(self.engine, container, host)
                for queue in list(self._watchers.get(container_id, ())):
                    if not queue.full():  # a client that does not read gets fewer samples
                        queue.put_nowait(found)
                await asyncio.sleep(0)
