"""What every verb on containers works with: the parts below and the neighbours, handed in by the daemon."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from riad.engine.containers.logs.keep import Keeper
from riad.engine.containers.model import Container
from riad.engine.containers.registry import Registry
from riad.engine.containers.remap import Remap
from riad.engine.containers.spec import Host
from riad.engine.host.abilities import Abilities
from riad.engine.host.group_moves import GroupMoves
from riad.engine.host.inotify import Watches
from riad.engine.host.oomwatch import OomWatch
from riad.engine.host.runc import Runtime
from riad.engine.images.local import Images
from riad.engine.networks.networks import Networks
from riad.engine.volumes.volumes import Volumes
from riad.kernel import logs
from riad.kernel.clock import Clock

_log = logs.named("engine.containers")


class Publish(Protocol):
    def __call__(self, kind: str, action: str, subject: str, attributes: Mapping[str, str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Paths:
    """`data` outlives the host's reboot; `run` (sockets, pid files, specifications) need not."""

    data: Path
    run: Path

    def folder(self, container_id: str) -> Path:
        return self.data / "containers" / container_id

    def bundle(self, container_id: str) -> Path:
        return self.run / "containers" / container_id

    def log(self, container_id: str) -> Path:
        return self.folder(container_id) / "log"

    def root(self, container_id: str) -> Path:
        """Where the root filesystem is mounted while the container runs."""
        return self.folder(container_id) / "root"

    @property
    def exits(self) -> Path:
        return self.run / "exits"

    @property
    def held(self) -> Path:
        """Mounts that belong to running containers; see `held.py`."""
        return self.run / "held"

    @property
    def private(self) -> tuple[Path, Path]:
        """Specifications hold environments, and those hold secrets: nobody else on the host may read them."""
        return self.run / "containers", self.run / "exec"

    @property
    def trash(self) -> Path:
        return self.data / "trash"


@dataclass(slots=True)
class Counted:
    """Since the daemon started, for metrics."""

    health_checks: int = 0
    failed_checks: int = 0


@dataclass(slots=True)
class Engine:
    registry: Registry
    runtime: Runtime
    conmon: str
    host: Host
    bounding: frozenset[str]
    """The capabilities this process may hand on."""
    paths: Paths
    images: Images
    networks: Networks
    volumes: Volumes
    publish: Publish
    clock: Clock
    cgroup_parent: str
    remap: Remap | None = None
    """The user namespace of containers that did not ask for the host's."""
    init_program: str | None = None
    swap_limits: bool = False
    """The host counts swap per control group."""
    moves: GroupMoves = field(default_factory=GroupMoves)
    abilities: Abilities = field(default_factory=Abilities)
    oom: OomWatch = field(default_factory=OomWatch)
    counted: Counted = field(default_factory=Counted)
    keeper: Keeper = field(default_factory=lambda: Keeper(Watches()))
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def group(self, container: Container) -> str:
        """The container's control group."""
        parent = posixpath.normpath("/" + (container.settings.host.cgroup_parent or self.cgroup_parent))
        return posixpath.join(parent, container.id).replace("//", "/")

    def remapped(self, container: Container) -> Remap | None:
        """The user namespace that the container runs in; None is the host's."""
        return None if container.settings.host.userns_mode == "host" else self.remap

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` beside the requests until it ends or the daemon closes; its failure is logged."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("background work failed", exc_info=error)

    def announce(self, container: Container, action: str, **attributes: str) -> None:
        """Publishes an event of the container with the attributes that Docker gives every one of them."""
        known = {**container.labels, "image": container.settings.image, "name": container.name}
        self.publish("container", action, container.id, known | attributes)
