"""A project's repository, opened for a call that may read or change it."""

from __future__ import annotations

from dataclasses import dataclass

from riad.forge import projects
from riad.forge.edits import Editor
from riad.forge.history import Commit
from riad.forge.model import Project
from riad.forge.repository import Repository
from riad.identity import permissions
from riad.identity.model import Access
from riad.kernel.faults import not_found
from riad.protocols.gitlab import lookup
from riad.protocols.gitlab.api import Call
from riad.protocols.gitlab.services import Services


@dataclass(frozen=True, slots=True)
class Opened:
    project: Project
    repository: Repository
    can_push: bool

    def commit(self, ref: str | None, *, what: str = "Commit") -> Commit:
        """By branch, tag or sha; the default branch where none is named. Raises NOT_FOUND."""
        found = self.repository.find(ref or self.project.default_branch)
        if found is None:
            raise not_found(f"404 {what} Not Found")
        return found


def reading(services: Services, call: Call) -> Opened:
    """Raises NOT_FOUND, or DENIED for a guest of a private project."""
    with services.database.read() as session:
        project = lookup.project(session, call, Access.REPORTER)
        held = permissions.access(session, call.principal, project)
    repository = Repository(services.repositories.existing(project.storage))
    return Opened(project, repository, can_push=held >= Access.DEVELOPER and not project.archived)


def editing(services: Services, call: Call) -> Editor:
    """Raises DENIED below developer, and for an archived project."""
    user = call.user
    with services.database.read() as session:
        project = lookup.project(session, call, Access.DEVELOPER)
    projects.require_writable(project)
    return Editor(services.database, services.repositories, services.clock, project, user, announced=services.announced)
