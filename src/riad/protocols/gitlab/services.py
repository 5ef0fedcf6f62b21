"""What the forge's part of GitLab's API needs of the house."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from riad.forge.repositories import Repositories
from riad.kernel.clock import Clock
from riad.kernel.db import Database


def _nothing() -> None:
    return None


def _no_pipeline(_project_id: int, _sha: str) -> dict[str, Any] | None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    clock: Clock
    repositories: Repositories
    external_url: str = "http://localhost:8080"
    version: str = "0.1.0"
    announced: Callable[[], None] = _nothing
    """Called when something has been announced: wakes up whoever delivers events."""
    last_pipeline: Callable[[int, str], dict[str, Any] | None] = _no_pipeline
    """The newest pipeline of a project's commit, in GitLab's shape."""

    @property
    def url(self) -> str:
        return self.external_url.rstrip("/")
