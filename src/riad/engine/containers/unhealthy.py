"""Ending a container that has become unhealthy, so that its restart policy starts it again."""

from __future__ import annotations

from riad.engine.containers import stop
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.containers.signals import signal_number


async def end(engine: Engine, container: Container) -> None:
    """Stops it as `docker stop` would, but not for good; nothing where that life of it has ended meanwhile."""
    async with engine.registry.lock(container.id):
        found = engine.registry.get(container.id)
        if found is None or found.phase is not Phase.RUNNING or found.run.started_at != container.run.started_at:
            return
        engine.registry.companion(container.id).unhealthy = True
        config = found.settings.config
        number = signal_number(config.stop_signal or "SIGTERM")
        await stop.end(
            engine, found, number, stop.DEFAULT_TIMEOUT if config.stop_timeout is None else config.stop_timeout
        )
