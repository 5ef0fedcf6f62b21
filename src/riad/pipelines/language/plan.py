"""A pipeline's plan: what `compile` makes of a file for one push, and what is stored of it. Plain values, JSON-able."""

from __future__ import annotations

from dataclasses import dataclass, field

from riad.pipelines.language.model import (
    AllowFailure,
    Artifacts,
    Cache,
    Environment,
    Image,
    Need,
    Retry,
    Service,
    Variable,
    When,
)


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job of one pipeline.

    `needs` None: waits for all earlier stages; empty: starts at once. `variables` are the file's own, global ones
    first; what the project, group and pipeline add is looked up when the job runs. Times are seconds.
    """

    name: str
    stage: str
    stage_index: int
    script: tuple[str, ...]
    after_script: tuple[str, ...] = ()
    image: Image | None = None
    services: tuple[Service, ...] = ()
    variables: tuple[Variable, ...] = ()
    when: When = When.ON_SUCCESS
    start_in: int | None = None
    allow_failure: AllowFailure = field(default_factory=lambda: AllowFailure(allowed=False))
    needs: tuple[Need, ...] | None = None
    dependencies: tuple[str, ...] | None = None
    artifacts: Artifacts | None = None
    cache: tuple[Cache, ...] = ()
    environment: Environment | None = None
    retry: Retry = field(default_factory=Retry)
    timeout: int | None = None
    tags: tuple[str, ...] = ()
    interruptible: bool = False
    coverage: str | None = None


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """`stages` are those that hold a job, in order."""

    stages: tuple[str, ...]
    jobs: tuple[JobPlan, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is no pipeline, and why; no error."""

    reason: str
