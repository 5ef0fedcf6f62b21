"""What deploy needs of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an engine signs in to Riad's own registry with."""

    username: str
    password: str


class Images(Protocol):
    """Riad's registry, as deploy sees it. Called from threads."""

    def resolve(self, reference: str, *, project_id: int) -> str | None:
        """The digest (`sha256:…`) of `localhost:8080/demo/app:tag`; None where the name belongs to another registry.

        Raises NOT_FOUND where it belongs to this one and there is no such image, or none that the project may use: its
        own and those of public projects.
        """

    def credentials(self, project_id: int) -> Credentials | None:
        """A sign-in that may read this project's images; None where none is needed."""


@dataclass(frozen=True, slots=True)
class Job:
    """The job that deploys."""

    id: int
    project_id: int
    project_path: str
    sha: str
    ref: str
    pipeline_id: int
    user_id: int | None
