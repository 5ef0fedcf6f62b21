"""Each domain's needs, met by its neighbours: the Protocols that domains declare, over the domains that have it.

Nothing is decided here. Every method opens its own session, as its callers run in threads of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from riad.deploy.ports import Credentials, Job
from riad.forge import projects
from riad.forge.model import Project
from riad.identity import tokens as access_tokens
from riad.identity import users
from riad.identity.model import Visibility
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind, not_found
from riad.oci.reference import parse_reference
from riad.pipelines import store as pipelines
from riad.pipelines.ports import ProjectFacts, UserFacts
from riad.protocols.ocidist import tokens
from riad.registry import listings
from riad.registry.names import RepositoryName, project_of


class RegistryProjects:
    """For the registry: a name's project. Repository names are lower case, project paths may not be."""

    def by_path(self, session: Session, path: str) -> Project | None:
        return projects.by_path(session, path)

    def by_id(self, session: Session, project_id: int) -> Project | None:
        return projects.by_id(session, [project_id]).get(project_id)


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
            return access_tokens.issue_job(
                session, user_id=user_id, project_id=project_id, job_id=job_id, clock=self.clock
            )

    def revoke(self, job_id: int) -> None:
        with self.database.write() as session:
            access_tokens.revoke_job(session, job_id)


@dataclass(frozen=True, slots=True)
class RegistryImages:
    """For deploy: images of Riad's own registry, whose references start with `host` (HOST:PORT)."""

    database: Database
    clock: Clock
    host: str
    signing_key: bytes

    def resolve(self, reference: str, *, project_id: int) -> str | None:
        parsed = parse_reference(reference)
        if parsed.domain != self.host:
            return None
        with self.database.read() as session:
            try:
                owner = project_of(session, RegistryProjects(), RepositoryName.parse(parsed.path))
                if owner is None or (owner.id != project_id and owner.visibility is not Visibility.PUBLIC):
                    raise not_found("another project's image")  # it may be on the engine, so a pull might not ask
                return str(listings.find(session, parsed.path, parsed.digest or parsed.tag or "latest").digest)
            except Fault as fault:
                if fault.kind is not Kind.NOT_FOUND:
                    raise
        raise not_found(f"there is no image {reference} that this project may use; push it before deploying it")

    def credentials(self, project_id: int) -> Credentials | None:
        """A sign-in that reads this project's images, for an hour."""
        with self.database.read() as session:
            kept = listings.repositories_of(session, project_id)
        names = [each.name for each in kept]
        username, password = tokens.pull_credentials(self.signing_key, *names, now=self.clock.now())
        return Credentials(username=username, password=password) if names else None


def deploying_job(session: Session, job_id: int) -> Job:
    """For deploy: the job that asks for a roll-out. Raises NOT_FOUND."""
    row = pipelines.job(session, job_id)
    pipeline = pipelines.pipeline(session, row.pipeline_id)
    project = projects.get(session, row.project_id)
    return Job(
        id=row.id,
        project_id=row.project_id,
        project_path=project.path,
        sha=pipeline.sha,
        ref=pipeline.ref,
        pipeline_id=pipeline.id,
        user_id=row.user_id,
    )
