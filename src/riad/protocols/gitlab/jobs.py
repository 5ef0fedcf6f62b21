"""Jobs of GitLab's API v4 (doc/api/jobs.md)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from riad.forge.model import Project
from riad.identity.model import Access
from riad.pipelines.show import JobView
from riad.pipelines.status import Status
from riad.protocols.gitlab import lookup, pages
from riad.protocols.gitlab.api import Answer, Api, Call, listed
from riad.protocols.gitlab.errors import BadParameters
from riad.protocols.gitlab.shapes import pipelines as shapes

if TYPE_CHECKING:
    from riad.protocols.gitlab.pipelines import Services


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    one = "/projects/{id}/jobs/{job_id}"
    api.get("/projects/{id}/jobs", partial(list_jobs, services))
    api.get("/projects/{id}/pipelines/{pipeline_id}/jobs", partial(list_of_pipeline, services))
    api.get(one, partial(show, services))
    api.get("/job", partial(own, services))
    api.post(f"{one}/cancel", partial(cancel, services))
    api.post(f"{one}/retry", partial(retry, services))
    api.post(f"{one}/play", partial(play, services), status=200)
    api.post(f"{one}/erase", partial(erase, services))
    return api.router


def found(services: Services, call: Call, wanted: Access) -> tuple[Project, JobView]:
    with services.database.read() as session:
        project = lookup.project(session, call, wanted)
    return project, services.pipelines.job(call.number("job_id", what="job"), project_id=project.id)


def rendered(services: Services, project: Project, views: Sequence[JobView]) -> list[dict[str, Any]]:
    every = {number: services.pipelines.pipeline(number) for number in {view.pipeline_id for view in views}}
    url = services.project_url(project)
    with services.database.read() as session:
        people = {number: services.user(session, number) for number in {view.user_id for view in views}}
    return [
        shapes.job(view, every[view.pipeline_id], url, people[view.user_id], services.pipelines.stuck(view))
        for view in views
    ]


def _scope(call: Call) -> list[str]:
    wanted = call.params.texts("scope") or []
    known = {str(status) for status in Status} | {"waiting_for_resource", "preparing", "waiting_for_callback"}
    if wrong := [text for text in wanted if text not in known]:
        raise BadParameters(f"scope does not have a valid value: {', '.join(wrong)}")
    return wanted


def list_jobs(services: Services, call: Call) -> Answer:
    with services.database.read() as session:
        project = lookup.project(session, call, Access.REPORTER)
    page = call.page
    views, total = services.pipelines.jobs(project.id, limit=page.size, offset=page.offset, statuses=_scope(call))
    return listed(call, rendered(services, project, views), total=total)


def list_of_pipeline(services: Services, call: Call) -> Answer:
    with services.database.read() as session:
        project = lookup.project(session, call, Access.REPORTER)
    pipeline = services.pipelines.pipeline(call.number("pipeline_id", what="pipeline"), project_id=project.id)
    scope, retried = _scope(call), call.params.on("include_retried")
    views = services.pipelines.pipeline_jobs(pipeline.id, retried=retried)
    kept = [view for view in reversed(views) if not scope or view.status in scope]
    return listed(call, rendered(services, project, pages.cut(kept, call.page)), total=len(kept))


def show(services: Services, call: Call) -> object:
    project, view = found(services, call, Access.REPORTER)
    return rendered(services, project, [view])[0]


def own(services: Services, call: Call) -> object:
    """The job that asks, by its token."""
    if call.principal.job_id is None or call.principal.project_id is None:
        raise BadParameters("only a running job can ask for itself, by its JOB-TOKEN")
    view = services.pipelines.job(call.principal.job_id)
    return {"id": view.id, "name": view.name, "status": str(view.status), "stage": view.stage}


def cancel(services: Services, call: Call) -> object:
    project, view = found(services, call, Access.DEVELOPER)
    services.pipelines.cancel_job(view.id)
    return rendered(services, project, [services.pipelines.job(view.id)])[0]


def retry(services: Services, call: Call) -> object:
    project, view = found(services, call, Access.DEVELOPER)
    return rendered(services, project, [services.pipelines.retry_job(view.id, user_id=call.user.id)])[0]


def play(services: Services, call: Call) -> object:
    project, view = found(services, call, Access.DEVELOPER)
    given = call.params.get("job_variables_attributes") or []
    if not isinstance(given, list) or any(not isinstance(each, dict) or "key" not in each for each in given):
        raise BadParameters("job_variables_attributes is invalid: a list of {key, value} is wanted")
    variables = [{"key": str(each["key"]), "value": str(each.get("value", ""))} for each in given]
    played = services.pipelines.play(view.id, user_id=call.user.id, variables=variables)
    return rendered(services, project, [played])[0]


def erase(services: Services, call: Call) -> object:
    project, view = found(services, call, Access.MAINTAINER)
    return rendered(services, project, [services.pipelines.erase(view.id)])[0]
