"""What a build tells while it goes on, as values; each client protocol renders them its own way.

Stages run side by side, so every event comes with the index of its stage (`Tell`); within a stage they come in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from riad.oci.digest import Digest

NO_STAGE = -1
"""The stage of what belongs to the build as a whole."""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """`number` counts from 1; `text` is the instruction on one line.

    `place` is where it stands in its stage, `[build 2/4]`; "" for what only changes the configuration.
    """

    number: int
    total: int
    text: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class TriggersStarted:
    """The base image brought `count` ONBUILD instructions."""

    count: int


@dataclass(frozen=True, slots=True)
class CacheUsed:
    """The step's result was there already."""


@dataclass(frozen=True, slots=True)
class CommandStarted:
    """`container` is the short name of what runs the command."""

    container: str


@dataclass(frozen=True, slots=True)
class CommandFinished:
    container: str


@dataclass(frozen=True, slots=True)
class Output:
    """What a command writes, both streams in the order they came; not cut at characters or lines."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StepFinished:
    """`id` names the result: of the last step the image's, of others what the step came to."""

    id: str


@dataclass(frozen=True, slots=True)
class StepFailed:
    """The step that began last in the stage; "" where it was given up because another one failed."""

    message: str


@dataclass(frozen=True, slots=True)
class StageFinished:
    """Nothing more comes from this stage."""


@dataclass(frozen=True, slots=True)
class WorkStarted:
    """Something that is no step, such as loading the context; `name` says what and is told once only."""

    name: str


@dataclass(frozen=True, slots=True)
class WorkAdvanced:
    """`current` of `total` units of the part `part` are done; `total` 0 is not known."""

    name: str
    part: str
    current: int = 0
    total: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class WorkFinished:
    name: str
    error: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class PullProgress:
    """One line of a base image's pull, in the form the Docker API gives pulls."""

    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Warned:
    message: str


@dataclass(frozen=True, slots=True)
class Built:
    image: Digest


@dataclass(frozen=True, slots=True)
class Tagged:
    name: str


Event = (
    StepStarted
    | TriggersStarted
    | CacheUsed
    | CommandStarted
    | CommandFinished
    | Output
    | StepFinished
    | StepFailed
    | StageFinished
    | WorkStarted
    | WorkAdvanced
    | WorkFinished
    | PullProgress
    | Warned
    | Built
    | Tagged
)
Progress = Callable[[Event], Awaitable[None]]
Tell = Callable[[int, Event], Awaitable[None]]


def of_stage(tell: Tell, stage: int) -> Progress:
    async def progress(event: Event) -> None:
        await tell(stage, event)

    return progress


class InOrder:
    """One stage after another for clients that know one line of progress: the first unfinished stage is told at once,
    what others say is kept until they have their turn. `stages` are the indices in the order wanted.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._waiting: list[int] = []
        self._kept: dict[int, list[Event]] = {}

    def expect(self, stages: list[int]) -> None:
        self._waiting = list(stages)

    async def tell(self, stage: int, event: Event) -> None:
        if isinstance(event, StepFailed):
            await self._interrupted(stage)
        elif stage == NO_STAGE or not self._waiting:
            await self._progress(event)
        elif stage != self._waiting[0]:
            self._kept.setdefault(stage, []).append(event)
        elif isinstance(event, StageFinished):
            await self._next()
        else:
            await self._progress(event)

    async def _next(self) -> None:
        self._waiting.pop(0)
        while self._waiting:
            over = False
            for event in self._kept.pop(self._waiting[0], []):
                over = over or isinstance(event, StageFinished)
                if not over:
                    await self._progress(event)
            if not over:
                return
            self._waiting.pop(0)

    async def _interrupted(self, stage: int) -> None:
        """A failed stage says what it kept: its output explains the failure."""
        for event in self._kept.pop(stage, []):
            await self._progress(event)
