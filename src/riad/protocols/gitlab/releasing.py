"""Riad's own routes about releases, below /api/riad/v1: what GitLab's API has no word for.

- `POST jobs/deploy`: the in-job command asks for a roll-out and is told how it goes (`riad.deploy.request`). Every
  refusal is told in the same text with status 200, because some images' HTTP clients show no body of an error.
- `GET projects/:id/releases`, `POST projects/:id/rollback {release?, environment?}`: `:id` is a number or GROUP/NAME.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from riad.deploy import releases, request
from riad.deploy.container import service_url
from riad.deploy.deploying import deploy
from riad.deploy.model import Environment, Release, ReleaseState, Rollout
from riad.deploy.ports import Images, Job
from riad.deploy.runner import Rollouts
from riad.forge import projects
from riad.forge.model import Project
from riad.identity import permissions
from riad.identity.model import Access, Kind, Principal, Scope
from riad.kernel import logs
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, denied, invalid, unauthenticated
from riad.protocols.gitlab import errors
from riad.protocols.gitlab.auth import Authenticate, is_job
from riad.protocols.gitlab.params import whole
from riad.protocols.gitlab.shapes.moments import moment

log = logs.named("releasing")

PREFIX = "/api/riad/v1"
TEXT = "text/plain; charset=utf-8"
LARGEST_REQUEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Services:
    """`job`: what is known of a job by its id (raises NOT_FOUND). `look_after`: have what runs compared with what is
    wanted soon; may be called from any thread. `domain`: services are NAME.domain."""

    database: Database
    clock: Clock
    external_url: str
    domain: str
    images: Images
    rollouts: Rollouts
    job: Callable[[Session, int], Job]
    look_after: Callable[[], None]


def router(services: Services) -> APIRouter:
    routes = APIRouter(prefix=PREFIX, tags=["releases"])
    authenticate = Authenticate(services.database, services.clock)

    async def guarded(work: Callable[[], Any], status: int = 200) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(work), status_code=status)
        except Fault as fault:
            return errors.answer(fault)

    @routes.post("/jobs/deploy", response_model=None)
    async def deploy_job(asked: Request) -> Response:
        try:
            wanted = request.parse((await _text(asked)).decode(errors="replace"))
            rollout = await run_in_threadpool(_queue, services, authenticate, asked, wanted)
        except Fault as fault:
            return Response(_refused(fault), media_type=TEXT)
        services.rollouts.wake()
        return StreamingResponse(_told(services, rollout, wanted.after), media_type=TEXT)

    @routes.get("/projects/{project:path}/releases", response_model=None)
    async def list_releases(asked: Request, project: str, environment: str | None = None) -> Response:
        return await guarded(lambda: _list(services, authenticate(asked), project, environment))

    @routes.post("/projects/{project:path}/rollback", response_model=None)
    async def roll_back(asked: Request, project: str) -> Response:
        text = await asked.body()
        return await guarded(lambda: _roll_back(services, authenticate(asked), project, text), status=202)

    return routes


async def _told(services: Services, rollout: Rollout, after: int) -> AsyncIterator[str]:
    """The answer to `jobs/deploy`; cut off without a result where this server cannot tell: the command asks again."""
    try:
        async for line in services.rollouts.follow(rollout.id, after):
            yield request.shown(line) + "\n"
        state = await run_in_threadpool(_state, services, rollout)
    except Fault as fault:
        log.warning("a roll-out could not be followed: %s", fault, extra=logs.fields(rollout=rollout.id))
        return
    yield (request.FAILED if state is ReleaseState.FAILED else request.SUCCESS) + "\n"


def _state(services: Services, rollout: Rollout) -> ReleaseState:
    with services.database.read() as session:
        return releases.get(session, rollout.release_id).state


def _refused(fault: Fault) -> str:
    return "".join(request.shown(line) + "\n" for line in fault.message.splitlines()) + request.FAILED + "\n"


async def _text(asked: Request) -> bytes:
    body = bytearray()
    async for piece in asked.stream():
        body += piece
        if len(body) > LARGEST_REQUEST:
            raise invalid("the request is larger than 1 MiB; put large values into the image or a volume")
    return bytes(body)


def _queue(services: Services, authenticate: Authenticate, asked: Request, wanted: request.DeployRequest) -> Rollout:
    principal = authenticate(asked)
    if principal.kind is not Kind.JOB or principal.job_id is None or principal.project_id is None:
        raise unauthenticated("only a running job may deploy, with its CI_JOB_TOKEN")
    with services.database.read() as session:
        project = projects.get(session, principal.project_id)
        permissions.require(session, principal, project, Access.DEVELOPER)
        job = services.job(session, principal.job_id)
    if job.project_id != principal.project_id:
        raise denied("this job belongs to another project")
    _, _, rollout = deploy(services.database, services.images, job=job, wanted=wanted, clock=services.clock)
    return rollout


def _list(services: Services, principal: Principal, reference: str, environment: str | None) -> list[dict[str, Any]]:
    permissions.require_scope(principal, Scope.READ_API)
    with services.database.read() as session:
        project = _project(session, principal, reference, Access.REPORTER)
        found = releases.of_project(session, project.id)
        names = {where.id: releases.of_environment(session, where.id) for where, _ in found}
        kept = {number: releases.kept_numbers(history) for number, history in names.items()}
    return [
        {**_release(services, where, release), "kept": release.original in kept[where.id]}
        for where, release in found
        if environment is None or environment in (where.name, where.slug)
    ]


def _roll_back(services: Services, principal: Principal, reference: str, body: bytes) -> dict[str, Any]:
    permissions.require_scope(principal, Scope.API)
    if is_job(principal):
        raise denied("a job cannot roll back; use a personal access token")
    number, environment = _rollback_request(body)
    with services.database.write() as session:
        project = _project(session, principal, reference, Access.DEVELOPER)
        where, release, _ = releases.rollback(
            session,
            project_id=project.id,
            environment=environment,
            number=number,
            user_id=principal.user.id if principal.user else None,
            clock=services.clock,
        )
    services.rollouts.wake()
    return _release(services, where, release)


def _rollback_request(body: bytes) -> tuple[int | None, str | None]:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise invalid("the body is not JSON, or nested too deep") from None
    if not isinstance(document, dict) or not set(document) <= {"release", "environment"}:
        raise invalid('the body may say "release" (a number) and "environment" (a name), nothing else')
    number, environment = document.get("release"), document.get("environment")
    if not isinstance(number, int | None) or isinstance(number, bool):
        raise invalid("release is not a number")
    if not isinstance(environment, str | None):
        raise invalid("environment is not a name")
    return number, environment


def project_of(session: Session, principal: Principal, reference: str) -> Project:
    """By number or path. Raises NOT_FOUND."""
    number = whole(reference)
    return projects.seen(session, principal, number if number is not None else reference)


def _project(session: Session, principal: Principal, reference: str, wanted: Access) -> Project:
    project = project_of(session, principal, reference)
    permissions.require(session, principal, project, wanted)
    return project


def _release(services: Services, environment: Environment, release: Release) -> dict[str, Any]:
    return {
        "id": release.id,
        "number": release.number,
        "environment": environment.name,
        "service": environment.service,
        "url": service_url(services.external_url, services.domain, environment.service),
        "state": release.state.value,
        "kind": release.kind.value,
        "of": release.of,
        "image": release.image_name,
        "digest": release.image,
        "port": release.settings.port,
        "health": release.settings.health_path,
        "sha": release.origin.sha,
        "ref": release.origin.ref,
        "pipeline_id": release.origin.pipeline_id,
        "job_id": release.origin.job_id,
        "user_id": release.origin.user_id,
        "reason": release.reason,
        "created_at": moment(release.created_at),
        "finished_at": moment(release.finished_at),
    }
