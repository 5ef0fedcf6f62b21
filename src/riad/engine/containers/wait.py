"""Waiting for a container to end."""

from __future__ import annotations

import asyncio

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.containers.registry import enlist
from riad.kernel.faults import invalid

CONDITIONS = ("not-running", "next-exit", "removed")


def begin_wait(engine: Engine, container: Container, condition: str) -> asyncio.Future[int]:
    """Registers for the condition at once and returns the exit code to come. Raises INVALID for an unknown one."""
    if condition not in CONDITIONS:
        raise invalid(f'invalid condition: "{condition}"')
    container = engine.registry.fresh(container)
    companion = engine.registry.companion(container.id)
    if condition == "removed":
        return enlist(companion.removed)
    if condition == "not-running" and container.phase in (Phase.CREATED, Phase.EXITED, Phase.REMOVING):
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_result(container.run.exit_code)
        return future
    return enlist(companion.ended)
