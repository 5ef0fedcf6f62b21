"""What a job asks for: this image, into that environment."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from riad.deploy import environments, releases
from riad.deploy.model import Environment, Origin, Release, Rollout
from riad.deploy.ports import Images, Job
from riad.deploy.request import DeployRequest
from riad.kernel.clock import Clock
from riad.kernel.db import Database


def deploy(
    database: Database, images: Images, *, job: Job, wanted: DeployRequest, clock: Clock
) -> tuple[Environment, Release, Rollout]:
    """Queues a release of the image as it is now; a tag that moves later moves nothing. Once for each job and
    environment: asking again gives the same roll-out.

    Raises NOT_FOUND (no such image), CONFLICT (the service's name is taken), EXHAUSTED (the edge is full).
    """
    with database.read() as session:
        again = _asked_before(session, job, wanted.environment)
    if again is not None:
        return again
    digest = images.resolve(wanted.image, project_id=job.project_id)
    pinned = f"{without_tag(wanted.image)}@{digest}" if digest is not None else wanted.image
    try:
        return _queue(database, pinned, job=job, wanted=wanted, clock=clock)
    except IntegrityError:  # somebody else made the same environment, or took its name or place, in between
        return _queue(database, pinned, job=job, wanted=wanted, clock=clock)


def _queue(
    database: Database, pinned: str, *, job: Job, wanted: DeployRequest, clock: Clock
) -> tuple[Environment, Release, Rollout]:
    with database.write() as session:
        environment = environments.ensure(
            session,
            project_id=job.project_id,
            project_path=job.project_path,
            name=wanted.environment,
            service=wanted.service,
            external_url=wanted.url,
            clock=clock,
        )
        release, rollout = releases.request(
            session,
            environment=environment,
            image=pinned,
            image_name=wanted.image,
            settings=wanted.settings,
            origin=Origin(job.sha, job.ref, job.pipeline_id, job.id, job.user_id),
            clock=clock,
        )
    return environment, release, rollout


def without_tag(reference: str) -> str:
    """`host:8080/name:tag` and `host:8080/name@digest` → `host:8080/name`."""
    name = reference.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def _asked_before(session: Session, job: Job, name: str) -> tuple[Environment, Release, Rollout] | None:
    for environment in environments.of_project(session, job.project_id):
        if environment.name == name and (found := releases.of_job(session, environment, job.id)):
            return environment, *found
    return None
