"""All containers of the engine in memory and in the database, found by id, name or the start of an id.

Reading never waits and takes no lock, so one stuck container hangs neither `ps` nor `inspect`. What changes a
container's life takes `lock(id)`, one verb at a time per container; `change` writes the fact before anyone is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from riad.engine.containers.model import Container, check_transition
from riad.engine.containers.store import ContainerStore
from riad.kernel.faults import Fault, Kind, conflict, not_found


@dataclass(slots=True)
class Companion:
    """What this process holds for one container beside its record."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    attaching: list[asyncio.Future[Any]] = field(default_factory=list)
    """Clients that attached before the start; each gets a connected socket, or None when there will be none."""
    ended: list[asyncio.Future[int]] = field(default_factory=list)
    """Told the exit code when the container has come to rest."""
    removed: list[asyncio.Future[int]] = field(default_factory=list)
    watcher: asyncio.Task[None] | None = None
    """Waits for the end of conmon, then carries out what the end asks for."""
    restarter: asyncio.Task[None] | None = None
    restart_delay: float = 0.0
    restarting: bool = False
    """Being stopped by a restart: `--rm` does not apply to this end."""
    stopping: bool = False
    """Somebody waits for this end as a `stop`, which is told of before the end itself."""
    prober: asyncio.Task[None] | None = None
    health: Any = None
    """`health_record.Health` of a container that has a health check."""
    unhealthy: bool = False
    """Being ended because it is unhealthy: its restart policy decides on the rest."""
    delivering: Any = None
    """`logging.Delivering` of a container whose log goes somewhere."""
    process_gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no process of the container runs."""


class Registry:
    def __init__(self, store: ContainerStore) -> None:
        self._store = store
        self._containers = {container.id: container for container in store.all()}
        self._names = {container.name: container.id for container in self._containers.values()}
        self._companions: dict[str, Companion] = {}

    def __iter__(self) -> Iterator[Container]:
        return iter(list(self._containers.values()))

    def __len__(self) -> int:
        return len(self._containers)

    def names(self) -> dict[str, str]:
        """name → id"""
        return self._names

    def get(self, container_id: str) -> Container | None:
        """By the full id."""
        return self._containers.get(container_id)

    def find(self, reference: str) -> Container:
        """By full id, name, or an unambiguous start of an id. Raises NOT_FOUND or INVALID with Docker's sentences."""
        bare = reference.removeprefix("/")
        found = self._containers.get(bare) or self._containers.get(self._names.get(bare, ""))
        if found is not None:
            return found
        starting = [known for known in self._containers if bare and known.startswith(bare)]
        if len(starting) > 1:
            raise Fault(Kind.INVALID, f"multiple IDs found with provided prefix: {bare}")
        if not starting:
            raise not_found(f"No such container: {reference}")
        return self._containers[starting[0]]

    def fresh(self, container: Container) -> Container:
        """The present state of a container seen before. Raises NOT_FOUND where it has been removed meanwhile."""
        found = self._containers.get(container.id)
        if found is None:
            raise not_found(f"No such container: {container.id}")
        return found

    def companion(self, container_id: str) -> Companion:
        return self._companions.setdefault(container_id, Companion())

    def lock(self, container_id: str) -> asyncio.Lock:
        return self.companion(container_id).lock

    def check_free(self, name: str) -> None:
        if holder := self._names.get(name):
            raise conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )

    def add(self, container: Container) -> Container:
        self.check_free(container.name)
        self._store.add(container)
        self._containers[container.id] = container
        self._names[container.name] = container.id
        return container

    def change(self, container: Container, **changes: Any) -> Container:
        """Writes and returns the container with `changes`. Raises CONFLICT for an impossible step of its life."""
        before = self.fresh(container)
        after: Container = replace(before, **changes)
        check_transition(before.phase, after.phase)
        if after.name != before.name:
            self.check_free(after.name)
        self._store.save(after, before=before)
        if after.name != before.name:
            del self._names[before.name]
            self._names[after.name] = after.id
        self._containers[after.id] = after
        return after

    def remove(self, container: Container) -> None:
        """Forgets the container and tells those who waited for that."""
        self._store.remove(container.id)
        gone = self._containers.pop(container.id, container)
        self._names.pop(gone.name, None)
        companion = self._companions.pop(container.id, None)
        if companion is not None:
            settle(companion.ended, gone.run.exit_code)
            settle(companion.removed, gone.run.exit_code)
            settle(companion.attaching, None)


def enlist(waiting: list[asyncio.Future[Any]]) -> asyncio.Future[Any]:
    """A future among those that wait; who gives up (by cancelling) is forgotten at once, not only at the end."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    waiting.append(future)

    def forget(done: asyncio.Future[Any]) -> None:
        if done.cancelled() and done in waiting:
            waiting.remove(done)

    future.add_done_callback(forget)
    return future


def settle(waiting: list[asyncio.Future[Any]], result: object) -> None:
    """Answers all that wait; those that gave up are skipped."""
    for future in waiting:
        if not future.done():
            future.set_result(result)
    waiting.clear()
