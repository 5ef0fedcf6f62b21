"""The nouns of the forge."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from riad.forge.paths import ProjectPath
from riad.identity.model import Visibility

ZERO = "0" * 40
"""Stands for no commit: the `before` of a new ref, the `after` of a deleted one."""

BRANCHES = "refs/heads/"
TAGS = "refs/tags/"


@dataclass(frozen=True, slots=True)
class Project:
    id: int
    group_id: int
    path: ProjectPath
    """GROUP/NAME."""
    name: str
    description: str
    visibility: Visibility
    default_branch: str
    archived: bool
    creator_id: int | None
    created_at: datetime
    last_activity_at: datetime
    storage: str
    """The repository's folder, a random name: renaming a project moves nothing."""

    @property
    def group_path(self) -> str:
        return self.path.partition("/")[0]

    @property
    def slug(self) -> str:
        return self.path.partition("/")[2]


class RefChange(enum.StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One line of a push: `ref` in full (`refs/heads/main`), commits (or tag objects) as 40 hex digits."""

    ref: str
    before: str
    after: str

    @property
    def change(self) -> RefChange:
        if self.before == ZERO:
            return RefChange.CREATED
        return RefChange.DELETED if self.after == ZERO else RefChange.UPDATED
