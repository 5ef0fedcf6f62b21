"""The nouns of deploy.

An environment (`production`) of a project has releases, numbered from 1. A release is what was asked for: an image,
its settings, where it came from. Its roll-out brings it into service; one release of an environment is live at most.
A roll-back is a new release with an older one's image and settings, rolled out through the same gate.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from riad.deploy.names import Tier
from riad.kernel.faults import conflict


class EnvironmentState(enum.StrEnum):
    AVAILABLE = "available"
    STOPPED = "stopped"


class Kind(enum.StrEnum):
    DEPLOY = "deploy"
    ROLLBACK = "rollback"


class ReleaseState(enum.StrEnum):
    DEPLOYING = "deploying"
    LIVE = "live"
    RETIRED = "retired"
    FAILED = "failed"


class RolloutState(enum.StrEnum):
    """QUEUED and RUNNING: the old release serves. CLEANING: the new one does. FAILING: the old one still does."""

    QUEUED = "queued"
    RUNNING = "running"
    CLEANING = "cleaning"
    FAILING = "failing"
    DONE = "done"
    FAILED = "failed"

    @property
    def decided(self) -> bool:
        """Whether the job may be told how it ended."""
        return self not in (RolloutState.QUEUED, RolloutState.RUNNING)

    @property
    def over(self) -> bool:
        return self in (RolloutState.DONE, RolloutState.FAILED)


_NEXT: Mapping[RolloutState, frozenset[RolloutState]] = {
    RolloutState.QUEUED: frozenset({RolloutState.RUNNING, RolloutState.FAILING}),
    RolloutState.RUNNING: frozenset({RolloutState.CLEANING, RolloutState.FAILING}),
    RolloutState.CLEANING: frozenset({RolloutState.DONE}),
    RolloutState.FAILING: frozenset({RolloutState.FAILED}),
    RolloutState.DONE: frozenset(),
    RolloutState.FAILED: frozenset(),
}


def moved(now: RolloutState, to: RolloutState) -> RolloutState:
    """`to`, where the life cycle allows it. Raises CONFLICT otherwise."""
    if to not in _NEXT[now]:
        raise conflict(f"a roll-out that is {now} cannot become {to}")
    return to


@dataclass(frozen=True, slots=True)
class Settings:
    """How a release is run. `port` None: the lowest TCP port that the image exposes. `health_path` None: a TCP
    connection is proof enough. `deadline`: seconds it has to become healthy."""

    port: int | None = None
    health_path: str | None = None
    deadline: int = 60
    environ: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """`service` is its name at the edge, `slot` its backend there (from 1)."""

    id: int
    project_id: int
    project_path: str
    name: str
    slug: str
    tier: Tier
    service: str
    slot: int | None
    external_url: str | None
    state: EnvironmentState
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """What a release comes from."""

    sha: str | None
    ref: str | None
    pipeline_id: int | None
    job_id: int | None
    user_id: int | None


@dataclass(frozen=True, slots=True)
class Release:
    """`image` is pinned by digest (`name@sha256:…`) where a registry knows one; `image_name` is what was asked for.
    `of` is the number of the release that a roll-back puts back. `address` is HOST:PORT while its container runs."""

    id: int
    environment_id: int
    number: int
    kind: Kind
    state: ReleaseState
    image: str
    image_name: str
    settings: Settings
    origin: Origin
    of: int | None
    reason: str | None
    address: str | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def original(self) -> int:
        """The number of the release that first brought this image and these settings."""
        return self.of if self.of is not None else self.number


@dataclass(frozen=True, slots=True)
class Rollout:
    """`steps_done` counts the steps of its plan that have been carried out; `previous_id` is the release that was
    live when it began."""

    id: int
    release_id: int
    environment_id: int
    state: RolloutState
    previous_id: int | None
    steps_done: int
    reason: str | None
