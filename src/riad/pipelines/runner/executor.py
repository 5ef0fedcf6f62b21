"""The port to where jobs run, and its contract.

One job is one *box*, named by the caller; its name is all that is needed to find it again after a restart.

- `prepare` makes the box, not started, with the files in it; whatever an earlier `prepare` of that name left is removed
  first, so it may be repeated. `start` of a running box is no error. A box may be started again after it has ended; its
  files stay. `output` gives everything the box ever wrote, all starts in order, from the beginning, and goes on until
  the box has ended. `stop` asks it to end, then makes it; `remove` may be repeated and takes everything of the box.
- UNAVAILABLE means: the place is away, try again later, nothing is lost. NOT_FOUND means: there is no such box.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from riad.kernel.faults import Fault, Kind
from riad.pipelines.language.model import Image, Service


class ImageUnavailable(Fault):
    """The image is neither here nor can it be pulled."""

    def __init__(self, image: str, why: str) -> None:
        super().__init__(Kind.NOT_FOUND, f"the image {image} cannot be had: {why}")


@dataclass(frozen=True, slots=True)
class Login:
    """How to pull from `registry`."""

    registry: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Order:
    """A box to make. `command` follows the image's entrypoint; `binds` are host path → path inside."""

    name: str
    image: Image
    command: tuple[str, ...]
    folder: str
    environ: Mapping[str, str]
    labels: Mapping[str, str]
    services: tuple[Service, ...] = ()
    binds: Mapping[str, str] = field(default_factory=dict)
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """The numbers of the user that the image runs as."""

    uid: int = 0
    gid: int = 0


class Life(enum.Enum):
    CREATED = "created"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class State:
    """`started` is an opaque mark of the latest start, None before the first."""

    life: Life
    started: str | None
    exit_code: int


Say = Callable[[str], None]
Files = Callable[[Owner], Awaitable[BinaryIO]]
"""Makes the tar of the box's files, names from the root on, owned by that user. The executor closes it."""


class Executor(Protocol):
    async def prepare(self, order: Order, files: Files, say: Say) -> None:
        """Tells `say` what it does, a line each. Raises ImageUnavailable."""

    async def start(self, name: str) -> None: ...

    async def state(self, name: str) -> State: ...

    def output(self, name: str) -> AsyncIterator[bytes]: ...

    async def wait(self, name: str) -> int:
        """The exit code, once it has ended."""

    async def put(self, name: str, files: BinaryIO) -> None:
        """Unpacks a tar at the root of a box that does not run; closes it."""

    async def stop(self, name: str, *, grace: float) -> None:
        """`grace` in seconds. No error where it has ended."""

    def fetch(self, name: str, path: str) -> AsyncIterator[bytes]:
        """The tar of `path`, named from its last part on. NOT_FOUND, at the first step, where it does not exist."""

    async def environ(self, name: str) -> Mapping[str, str]:
        """The variables it was made with."""

    async def remove(self, name: str) -> None: ...
