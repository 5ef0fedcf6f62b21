"""A container's log over its life: kept in bounds while it runs, delivered where its driver says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from riad.engine.containers.engine import Engine
from riad.engine.containers.logs import drivers, options
from riad.engine.containers.logs.attributes import Subject
from riad.engine.containers.logs.deliver import Delivery, delivered
from riad.engine.containers.logs.read import Follow
from riad.engine.containers.model import Container
from riad.kernel.faults import Fault, Kind

_FLUSH = 2.0
"""Seconds that a container's end waits for the last of its log to be delivered."""


@dataclass(slots=True)
class Delivering:
    """The delivery of one life's log. `ended` is set with the container's end."""

    task: asyncio.Task[None]
    ended: asyncio.Future[None]


def subject(container: Container) -> Subject:
    """What tags and details of its log may speak of."""
    settings = container.settings
    return Subject(
        id=container.id,
        name=container.name,
        image=settings.image,
        image_id=container.image_id,
        command=container.command,
        labels=container.labels,
        env=tuple(settings.config.env),
    )


async def check(container: Container) -> None:
    """Raises INTERNAL with Docker's sentence where the place that the log goes to cannot be reached."""
    wish = container.settings.host.log
    sink = drivers.sink(wish.driver, wish.options, subject(container))
    if sink is None:
        return
    try:
        await sink.open()
    except (OSError, Fault) as error:
        raise Fault(
            Kind.INTERNAL, f"failed to create task for container: failed to initialize logging driver: {error}"
        ) from None
    finally:
        sink.close()


def begin(engine: Engine, container: Container) -> None:
    """For a container that has just started or was found running."""
    wish = container.settings.host.log
    if wish.driver == "none":
        return
    log, bundle = engine.paths.log(container.id), engine.paths.bundle(container.id)
    engine.keeper.watch(container.id, log, bundle=bundle, bounds=options.bounds(wish.driver, wish.options))
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    _deliver(engine, container, Follow(engine.keeper.watches, ended))


def deliver_rest(engine: Engine, container: Container) -> None:
    """For a container at rest, of whose log something may not have been delivered when the engine went away."""
    _deliver(engine, container, None)


def _deliver(engine: Engine, container: Container, follow: Follow | None) -> None:
    wish = container.settings.host.log
    sink = drivers.sink(wish.driver, wish.options, subject(container))
    if sink is None:
        return
    keep_all = options.buffer_size(wish.options) is None
    delivery = Delivery(
        engine.paths.log(container.id),
        sink,
        options.buffer_size(wish.options),
        keep_from=lambda number: engine.keeper.delivering(container.id, number if keep_all else None),
        wanted=lambda: engine.registry.get(container.id) is not None,
    )
    if keep_all:
        engine.keeper.delivering(container.id, max(1, delivered(delivery.log).number))
    companion = engine.registry.companion(container.id)
    before = companion.delivering
    task = engine.spawn(_one_after_the_other(before, delivery, follow))
    ended = follow.ended if follow is not None else asyncio.get_running_loop().create_future()
    companion.delivering = Delivering(task, ended)


async def _one_after_the_other(before: Delivering | None, delivery: Delivery, follow: Follow | None) -> None:
    if before is not None:
        await asyncio.wait([before.task])
    await delivery.run(follow)


async def end(engine: Engine, container: Container) -> None:
    """For a container that has come to its end: what is left is delivered, if that goes soon."""
    delivering = engine.registry.companion(container.id).delivering
    if isinstance(delivering, Delivering):
        if not delivering.ended.done():
            delivering.ended.set_result(None)
        await asyncio.wait([delivering.task], timeout=_FLUSH)
    engine.keeper.forget(container.id)
