"""Renaming a container, running or not."""

from __future__ import annotations

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container
from riad.engine.containers.names import check_name
from riad.kernel.faults import Fault, invalid


async def rename(engine: Engine, container: Container, name: str) -> None:
    """Raises CONFLICT for a taken name, INVALID for one that cannot be or that it has already."""
    if not name:
        raise invalid("Neither old nor new names may be empty")
    try:
        name = check_name("/" + name.removeprefix("/"))
    except Fault as fault:
        raise invalid(f"Error when allocating new name: {fault.message}") from None
    async with engine.registry.lock(container.id):
        before = engine.registry.fresh(container)
        if before.name == name:
            raise invalid("Renaming a container with the same name as its current name")
        after = engine.registry.change(before, name=name)
        engine.networks.rename(container.id, name)
        engine.announce(after, "rename", oldName=f"/{before.name}")
