"""The project a page is about, and what the visitor may do there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from riad.forge import projects
from riad.forge.model import Project
from riad.forge.repository import Repository
from riad.identity import permissions, users
from riad.identity.model import Access, User
from riad.kernel.faults import not_found
from riad.web.visit import Visit


@dataclass(frozen=True, slots=True)
class Here:
    """`root` is the project's address without a slash at its end."""

    visit: Visit
    project: Project
    access: Access

    @property
    def root(self) -> str:
        return f"/{self.project.path}"

    @property
    def may_run(self) -> bool:
        return self.access >= Access.DEVELOPER

    @property
    def may_manage(self) -> bool:
        return self.access >= Access.MAINTAINER

    @property
    def owns(self) -> bool:
        return self.access >= Access.OWNER

    @property
    def clone_url(self) -> str:
        return f"{self.visit.services.external_url}/{self.project.path}.git"

    def repository(self) -> Repository:
        repositories = self.visit.services.repositories
        return Repository(repositories.existing(self.project.storage))

    def people(self, user_ids: Iterable[int | None]) -> Mapping[int, User]:
        return users.by_id(self.visit.session, [i for i in user_ids if i is not None])


def here(visit: Visit, wanted: Access = Access.REPORTER) -> Here:
    """Raises NOT_FOUND where the visitor may not know of the project, DENIED where the role is too low."""
    project = projects.by_path(visit.session, f"{visit.path('group')}/{visit.path('name')}")
    if project is None:
        raise not_found("there is no such project, or you may not see it")
    return Here(visit, project, permissions.require(visit.session, visit.principal, project, wanted))


def split_ref(repository: Repository, rest: str) -> tuple[str, str]:
    """`feature/x/a.py` as (`feature/x`, `a.py`): the longest branch or tag, else a commit. Raises NOT_FOUND."""
    parts = rest.strip("/").split("/")
    for count in range(min(len(parts), 12), 0, -1):
        ref = "/".join(parts[:count])
        if repository.branch(ref) is not None or repository.tag(ref) is not None:
            return ref, "/".join(parts[count:])
    return repository.resolve(parts[0]).sha if len(parts[0]) < 40 else parts[0], "/".join(parts[1:])
