"""Repository names, and which project a name belongs to.

A name is the path of a project, or that path and more: `demo/flask-hello`, `demo/flask-hello/worker`.
The grammar is that of the OCI distribution specification 1.1, "Pulling manifests".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from riad.identity.model import Visibility
from riad.oci.reference import is_repository_path
from riad.registry.faults import Reason, Refusal
from riad.registry.store import repository


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """Made by `parse` alone."""

    text: str

    @classmethod
    def parse(cls, text: str) -> RepositoryName:
        """Raises NAME_INVALID."""
        if not is_repository_path(text):
            message = f'"{text[:80]}" is not a repository name: lower-case letters, digits, ". _ -" and "/"'
            raise Refusal(Reason.NAME_INVALID, message, detail={"name": text[:255]})
        return cls(text)

    def project_paths(self) -> Iterator[str]:
        """The project paths this name may lie under, longest first; a project path has two parts or more."""
        parts = self.text.split("/")
        for count in range(len(parts), 1, -1):
            yield "/".join(parts[:count])

    def __str__(self) -> str:
        return self.text


class Project(Protocol):
    """What the registry needs to know of a project."""

    @property
    def id(self) -> int: ...
    @property
    def group_id(self) -> int: ...
    @property
    def visibility(self) -> Visibility: ...


class Projects(Protocol):
    """The forge's projects, as the registry sees them."""

    def by_path(self, session: Session, path: str) -> Project | None:
        """The project at `group/name`, compared without case (repository names have none)."""

    def by_id(self, session: Session, project_id: int) -> Project | None: ...


def project_of(session: Session, projects: Projects, name: RepositoryName) -> Project | None:
    """The project that `name` belongs to; the longest path wins.

    A name that holds images stays with the project that pushed them: when that is renamed and another one gets its
    path, the newcomer must not get the images as well.
    """
    held = repository(session, name.text)
    if held is not None:
        return projects.by_id(session, held.project_id)
    for path in name.project_paths():
        found = projects.by_path(session, path)
        if found is not None:
            return found
    return None
