"""A container whose processes the kernel kills for want of memory: marked and told of when it happens."""

from __future__ import annotations

from dataclasses import replace

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container
from riad.engine.host import conmon, usage


def watch(engine: Engine, container: Container) -> None:
    """From the start of a run, or from when a new daemon finds it, to its end."""

    def told() -> None:
        found = engine.registry.get(container.id)
        if found is not None and found.phase.alive and not found.run.oom_killed:
            mark(engine, found)

    bundle = engine.paths.bundle(container.id)
    engine.oom.watch(bundle, told)
    if (bundle / "oom").exists():  # while no daemon looked
        told()


def mark(engine: Engine, container: Container) -> Container:
    container = engine.registry.change(container, run=replace(container.run, oom_killed=True))
    engine.announce(container, "oom")
    return container


def happened(engine: Engine, container: Container, ended: conmon.Exit | None) -> bool:
    """Asked at the end of a run, before its control group goes."""
    if container.run.oom_killed or (ended is not None and ended.oom_killed):
        return True
    memory = usage.of_group(engine.group(container)).memory
    return memory is not None and memory.kills > 0
