"""Environments and deployments of GitLab's API v4 (doc/api/environments.md, doc/api/deployments.md).

A release is a deployment here: `created` while it waits, `running`, `success` once it was live, `failed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session

from riad.deploy import environments, releases, rollouts
from riad.deploy.container import service_url
from riad.deploy.model import Environment, EnvironmentState, Release, ReleaseState
from riad.forge.model import Project
from riad.identity import permissions, users
from riad.identity.model import Access, User
from riad.kernel.faults import Fault, Kind, not_found
from riad.protocols.gitlab import pages, releasing
from riad.protocols.gitlab.api import NO_CONTENT, Answer, Api, Call, listed
from riad.protocols.gitlab.releasing import Services
from riad.protocols.gitlab.shapes.moments import moment

_STATUS = {
    ReleaseState.DEPLOYING: "running",
    ReleaseState.LIVE: "success",
    ReleaseState.RETIRED: "success",
    ReleaseState.FAILED: "failed",
}


def router(services: Services) -> APIRouter:
    """GitLab's routes below /api/v4 and Riad's own below /api/riad/v1."""
    api = Api(services.database, services.clock)
    one = "/projects/{id}/environments/{environment_id}"
    api.get("/projects/{id}/environments", partial(list_environments, services))
    api.post("/projects/{id}/environments", partial(create_environment, services))
    api.get(one, partial(show_environment, services))
    api.put(one, partial(update_environment, services))
    api.delete(one, partial(delete_environment, services))
    api.post(f"{one}/stop", partial(stop_environment, services), status=200)
    api.get("/projects/{id}/deployments", partial(list_deployments, services))
    api.get("/projects/{id}/deployments/{deployment_id}", partial(show_deployment, services))
    both = APIRouter()
    both.include_router(api.router)
    both.include_router(releasing.router(services))
    return both


def list_environments(services: Services, call: Call) -> Answer:
    with services.database.read() as session:
        project = _project(session, call, Access.REPORTER)
        name, search, states = call.params.text("name"), call.params.text("search"), call.params.text("states")
        found = [
            environment
            for environment in environments.of_project(session, project.id)
            if (name is None or environment.name == name)
            and (search is None or search.lower() in environment.name.lower())
            and (states is None or environment.state == states)
        ]
        shown = [_environment(services, environment) for environment in pages.cut(found, call.page)]
    return listed(call, shown, total=len(found))


def create_environment(services: Services, call: Call) -> Mapping[str, Any]:
    name = call.params.needed("name")
    call.params.refuse(
        tier="Riad infers it from the name",
        cluster_agent_id="Kubernetes is not a target yet",
        auto_stop_setting="environments stop when they are asked to",
    )
    with services.database.write() as session:
        project = _project(session, call, Access.DEVELOPER)
        if any(environment.name == name for environment in environments.of_project(session, project.id)):
            raise Fault(Kind.INVALID, "Name has already been taken")
        made = environments.ensure(
            session,
            project_id=project.id,
            project_path=project.path,
            name=name,
            external_url=call.params.text("external_url"),
            clock=services.clock,
        )
    return _environment(services, made)


def show_environment(services: Services, call: Call) -> Mapping[str, Any]:
    with services.database.read() as session:
        project, environment = _addressed(session, call, Access.REPORTER)
        history = releases.of_environment(session, environment.id)
        last = next((r for r in history if r.state in (ReleaseState.LIVE, ReleaseState.RETIRED)), None)
        people = _people(session, [last] if last else [])
    shown = dict(_environment(services, environment))
    shown["last_deployment"] = _deployment(services, project, environment, last, people) if last else None
    return shown


def update_environment(services: Services, call: Call) -> Mapping[str, Any]:
    call.params.refuse(tier="Riad infers it from the name", name="an environment keeps its name")
    with services.database.write() as session:
        _, environment = _addressed(session, call, Access.DEVELOPER)
        changed = environments.set_external_url(
            session, environment.id, call.params.text("external_url"), clock=services.clock
        )
    return _environment(services, changed)


def stop_environment(services: Services, call: Call) -> Mapping[str, Any]:
    """Takes it out of service; its containers are removed in the background."""
    with services.database.write() as session:
        _, environment = _addressed(session, call, Access.DEVELOPER)
        rollouts.stop(session, environment.id, clock=services.clock)
        stopped = environments.get(session, environment.id)
    services.look_after()
    return _environment(services, stopped)


def delete_environment(services: Services, call: Call) -> Answer:
    with services.database.write() as session:
        _, environment = _addressed(session, call, Access.DEVELOPER)
        environments.delete(session, environment.id)
    services.look_after()
    return NO_CONTENT


def list_deployments(services: Services, call: Call) -> Answer:
    status, wanted = call.params.text("status"), call.params.text("environment")
    ascending = (call.params.text("sort") or "asc") == "asc"
    with services.database.read() as session:
        project = _project(session, call, Access.REPORTER)
        found = [
            (environment, release)
            for environment, release in releases.of_project(session, project.id)
            if (wanted is None or environment.name == wanted) and (status is None or _STATUS[release.state] == status)
        ]
        if ascending:
            found.reverse()
        page = pages.cut(found, call.page)
        people = _people(session, [release for _, release in page])
    shown = [_deployment(services, project, environment, release, people) for environment, release in page]
    return listed(call, shown, total=len(found))


def show_deployment(services: Services, call: Call) -> Mapping[str, Any]:
    number = call.number("deployment_id", what="deployment")
    with services.database.read() as session:
        project = _project(session, call, Access.REPORTER)
        for environment, release in releases.of_project(session, project.id):
            if release.id == number:
                return _deployment(services, project, environment, release, _people(session, [release]))
    raise not_found("Deployment Not Found")


def _project(session: Session, call: Call, wanted: Access) -> Project:
    project = releasing.project_of(session, call.principal, call.path["id"])
    permissions.require(session, call.principal, project, wanted)
    return project


def _addressed(session: Session, call: Call, wanted: Access) -> tuple[Project, Environment]:
    project = _project(session, call, wanted)
    number = call.number("environment_id", what="environment")
    for environment in environments.of_project(session, project.id):
        if environment.id == number:
            return project, environment
    raise not_found("Environment Not Found")


def _people(session: Session, shown: list[Release]) -> Mapping[int, User]:
    return users.by_id(session, {r.origin.user_id for r in shown if r.origin.user_id is not None})


def _environment(services: Services, environment: Environment) -> dict[str, Any]:
    serves = environment.state is EnvironmentState.AVAILABLE
    url = environment.external_url or service_url(services.external_url, services.domain, environment.service)
    return {
        "id": environment.id,
        "name": environment.name,
        "slug": environment.slug,
        "description": None,
        "external_url": url if serves or environment.external_url else None,
        "state": environment.state.value,
        "tier": environment.tier.value,
        "created_at": moment(environment.created_at),
        "updated_at": moment(environment.updated_at),
        "auto_stop_at": None,
        "auto_stop_setting": "always",
    }


def _deployment(
    services: Services, project: Project, environment: Environment, release: Release, people: Mapping[int, User]
) -> dict[str, Any]:
    origin = release.origin
    user = people.get(origin.user_id) if origin.user_id is not None else None
    return {
        "id": release.id,
        "iid": release.number,
        "ref": origin.ref,
        "sha": origin.sha,
        "status": _STATUS[release.state],
        "created_at": moment(release.created_at),
        "updated_at": moment(release.finished_at or release.created_at),
        "user": {"id": user.id, "username": user.username, "name": user.name, "state": "active"} if user else None,
        "environment": _environment(services, environment),
        "deployable": {
            "id": origin.job_id,
            "ref": origin.ref,
            "pipeline": {
                "id": origin.pipeline_id,
                "ref": origin.ref,
                "sha": origin.sha,
                "project_id": project.id,
                "web_url": f"{services.external_url}/{project.path}/-/pipelines/{origin.pipeline_id}",
            },
            "web_url": f"{services.external_url}/{project.path}/-/jobs/{origin.job_id}",
        }
        if origin.job_id is not None
        else None,
    }
