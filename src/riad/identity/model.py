"""The nouns of identity: values without behaviour beyond their own rules."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Access(enum.IntEnum):
    """What a member may do, with GitLab's numbers."""

    NONE = 0
    GUEST = 10
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50


class Visibility(enum.StrEnum):
    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"


class Scope(enum.StrEnum):
    """What a token is good for, with GitLab's names."""

    API = "api"
    READ_API = "read_api"
    READ_USER = "read_user"
    READ_REPOSITORY = "read_repository"
    WRITE_REPOSITORY = "write_repository"
    READ_REGISTRY = "read_registry"
    WRITE_REGISTRY = "write_registry"


class Kind(enum.StrEnum):
    """How a principal proved who it is."""

    ANONYMOUS = "anonymous"
    SESSION = "session"
    PASSWORD = "password"  # noqa: S105 -- a kind, not a secret
    TOKEN = "token"  # noqa: S105
    JOB = "job"


IMPLIED = {
    Scope.API: frozenset(Scope),
    Scope.READ_API: frozenset({Scope.READ_API, Scope.READ_USER, Scope.READ_REPOSITORY, Scope.READ_REGISTRY}),
    Scope.WRITE_REPOSITORY: frozenset({Scope.WRITE_REPOSITORY, Scope.READ_REPOSITORY}),
    Scope.WRITE_REGISTRY: frozenset({Scope.WRITE_REGISTRY, Scope.READ_REGISTRY}),
}
"""Each scope and what it covers besides itself."""

JOB_SCOPES = frozenset({Scope.READ_API, Scope.READ_REPOSITORY, Scope.READ_REGISTRY, Scope.WRITE_REGISTRY})


@dataclass(frozen=True, slots=True)
class User:
    id: int
    username: str
    name: str
    email: str
    is_admin: bool
    must_change_password: bool
    blocked: bool
    created_at: datetime
    namespace_id: int
    """The group that holds the user's own projects."""


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    path: str
    name: str
    description: str
    visibility: Visibility
    owner_id: int | None
    """Set where this is a user's own namespace; None for a group of several people."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    user: User
    access: Access
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `project_id` and `job_id` are set for job tokens; `token_id` for personal tokens."""

    user: User | None
    kind: Kind
    scopes: frozenset[str]
    project_id: int | None = None
    job_id: int | None = None
    token_id: int | None = None

    @property
    def is_admin(self) -> bool:
        """A job never is, whoever it runs for."""
        return self.user is not None and self.user.is_admin and self.kind is not Kind.JOB

    def covers(self, scope: Scope) -> bool:
        return any(scope in IMPLIED.get(Scope(held), {held}) for held in self.scopes)


ANONYMOUS = Principal(user=None, kind=Kind.ANONYMOUS, scopes=frozenset(Scope))


class HasAccess(Protocol):
    """Anything below a group that people are let into: a project."""

    @property
    def id(self) -> int: ...
    @property
    def group_id(self) -> int: ...
    @property
    def visibility(self) -> Visibility: ...
