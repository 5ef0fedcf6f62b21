"""A `.gitlab-ci.yml` as values: what the file says, before anything is known about the push that runs it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class When(enum.StrEnum):
    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"
    MANUAL = "manual"
    DELAYED = "delayed"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Variable:
    """`raw` values (`expand: false`) are taken as they are."""

    key: str
    value: str
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    name: str
    entrypoint: tuple[str, ...] | None = None
    pull_policy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    aliases: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    pull_policy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifacts:
    """`expire_in` in seconds; None keeps for ever, as `never` does."""

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    name: str = "artifacts"
    untracked: bool = False
    when: str = "on_success"
    expire_in: int | None = 30 * 86400
    junit: tuple[str, ...] = ()
    dotenv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cache:
    key: str = "default"
    key_files: tuple[str, ...] = ()
    key_prefix: str = ""
    paths: tuple[str, ...] = ()
    policy: str = "pull-push"
    when: str = "on_success"
    fallback_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    name: str
    url: str | None = None
    action: str = "start"
    on_stop: str | None = None
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    max: int = 0
    when: tuple[str, ...] = ("always",)
    exit_codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AllowFailure:
    allowed: bool
    exit_codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Need:
    job: str
    artifacts: bool = True
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    paths: tuple[str, ...]
    compare_to: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One item of `rules`: conditions (all must hold) and what the job becomes then."""

    line: int
    condition: str | None = None
    changes: Changes | None = None
    exists: tuple[str, ...] | None = None
    when: When | None = None
    start_in: int | None = None
    allow_failure: AllowFailure | None = None
    variables: tuple[Variable, ...] = ()
    needs: tuple[Need, ...] | None = None
    interruptible: bool | None = None


@dataclass(frozen=True, slots=True)
class Refs:
    """`only` or `except`: one of each given kind must match."""

    refs: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobConfig:
    name: str
    line: int
    stage: str
    stage_missing: bool = False
    script: tuple[str, ...] = ()
    after_script: tuple[str, ...] = ()
    image: Image | None = None
    services: tuple[Service, ...] = ()
    variables: tuple[Variable, ...] = ()
    inherit_variables: bool | tuple[str, ...] = True
    rules: tuple[Rule, ...] | None = None
    only: Refs | None = None
    except_: Refs | None = None
    when: When = When.ON_SUCCESS
    start_in: int | None = None
    allow_failure: AllowFailure | None = None
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
    parallel: int | None = None
    matrix: tuple[tuple[tuple[str, str], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Workflow:
    rules: tuple[Rule, ...] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    stages: tuple[str, ...]
    variables: tuple[Variable, ...]
    jobs: tuple[JobConfig, ...]
    workflow: Workflow = field(default_factory=Workflow)
