"""What a build tells while it goes on, as values; each client protocol renders them its own way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from riad.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class StepStarted:
    """`number` counts from 1; `text` is the instruction on one line."""

    number: int
    total: int
    text: str


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
    | PullProgress
    | Warned
    | Built
    | Tagged
)
Progress = Callable[[Event], Awaitable[None]]
