"""Each domain's needs, met by its neighbours: the Protocols that domains declare, over the domains that have it.

Nothing is decided here. Every method opens its own session, as its callers run in threads of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from riad.deploy.ports import Credentials
from riad.forge import projects
from riad.forge.model import Project
from riad.identity import tokens, users
from riad.identity.model import Visibility
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind, not_found
from riad.oci.reference import parse_reference
from riad.pipelines.ports import ProjectFacts, UserFacts
from riad.registry import manifests, repositories
from riad.registry.names import RepositoryName


class RegistryProjects:
    """For the registry: a name's project. Repository names are lower case, project paths may not be."""

    def by_path(self, session: Session, path: str) -> Project | None:
        return projects.by_path(session, path)


@dataclass(frozen=True, slots=True)
class PipelineProjects:
    database: Database

    def get(self, project_id: int) -> ProjectFacts:
        with self.database.read() as session:
            found = projects.get(session, project_id)
        return ProjectFacts(
            id=found.id,
            path=found.path,
            name=found.name,
            group_id=found.group_id,
            default_branch=found.default_branch,
            visibility=found.visibility.value,
            description=found.description,
        )


@dataclass(frozen=True, slots=True)
class PipelineUsers:
    database: Database

    def get(self, user_id: int) -> UserFacts | None:
        with self.database.read() as session:
            found = users.by_id(session, [user_id]).get(user_id)
        return UserFacts(id=found.id, username=found.username, name=found.name, email=found.email) if found else None


@dataclass(frozen=True, slots=True)
class JobTokens:
    database: Database
    clock: Clock

    def issue(self, *, user_id: int, project_id: int, job_id: int) -> str:
        with self.database.write() as session:
            return tokens.issue_job(session, user_id=user_id, project_id=project_id, job_id=job_id, clock=self.clock)

    def revoke(self, job_id: int) -> None:
        with self.database.write() as session:
            tokens.revoke_job(session, job_id)


@dataclass(frozen=True, slots=True)
class RegistryImages:
    """For deploy: images of Riad's own registry, whose references start with `host` (HOST:PORT)."""

    database: Database
    clock: Clock
    host: str

    def resolve(self, reference: str) -> str | None:
        parsed = parse_reference(reference)
        if parsed.domain != self.host:
            return None
        with self.database.read() as session:
            try:
                repository = repositories.get(session, RepositoryName.parse(parsed.path))
                return str(manifests.resolve(session, repository, parsed.digest or parsed.tag or "latest").digest)
            except Fault as fault:
                if fault.kind is not Kind.NOT_FOUND:
                    raise
        raise not_found(f"there is no image {reference}; push it before deploying it")

    def credentials(self, project_path: str) -> Credentials | None:
        """A token that reads this project's images alone. Public projects need none."""
        with self.database.write() as session:
            project = projects.by_path(session, project_path)
            if project is None or project.visibility is Visibility.PUBLIC:
                return None
            root = users.by_username(session, "root")
            assert root is not None
            # Job numbers are positive: the deployments of project N sign in as job -N.
            secret = tokens.issue_job(
                session, user_id=root.id, project_id=project.id, job_id=-project.id, clock=self.clock
            )
        return Credentials(username="gitlab-ci-token", password=secret)
