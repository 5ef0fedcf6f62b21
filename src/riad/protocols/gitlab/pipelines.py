"""Pipelines of GitLab's API v4 (doc/api/pipelines.md, doc/api/lint.md); jobs and variables have their own files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session

from riad.forge.model import Project
from riad.identity import users
from riad.identity.model import Access
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind
from riad.pipelines.service import PipelineService
from riad.pipelines.show import PipelineView
from riad.protocols.gitlab import job_files, jobs, lookup, pages, variables
from riad.protocols.gitlab.api import NO_CONTENT, Answer, Api, Call, listed
from riad.protocols.gitlab.errors import BadParameters
from riad.protocols.gitlab.shapes import pipelines as shapes
from riad.protocols.gitlab.shapes import users as user_shapes


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    clock: Clock
    pipelines: PipelineService
    external_url: str

    def project_url(self, project: Project) -> str:
        return f"{self.external_url.rstrip('/')}/{project.path}"

    def user(self, session: Session, user_id: int | None) -> dict[str, Any] | None:
        """GitLab's short shape of a user; None where there is none, or no longer."""
        if user_id is None:
            return None
        try:
            return user_shapes.basic(users.get(session, user_id), self.external_url.rstrip("/"))
        except Fault as fault:
            if fault.kind is not Kind.NOT_FOUND:
                raise
            return None


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    many, one = "/projects/{id}/pipelines", "/projects/{id}/pipelines/{pipeline_id}"
    api.get(many, partial(list_pipelines, services))
    api.post("/projects/{id}/pipeline", partial(create, services))
    api.get(f"{many}/latest", partial(latest, services))
    api.get(one, partial(show, services))
    api.delete(one, partial(delete, services))
    api.post(f"{one}/cancel", partial(cancel, services), status=200)
    api.post(f"{one}/retry", partial(retry, services))
    api.get(f"{one}/variables", partial(show_variables, services))
    api.get(f"{one}/test_report", partial(test_report, services))
    api.get(f"{one}/test_report_summary", partial(test_report_summary, services))
    api.get(f"{one}/bridges", partial(bridges, services))
    api.get("/projects/{id}/ci/lint", partial(lint_committed, services))
    api.post("/projects/{id}/ci/lint", partial(lint_given, services), status=200)
    every = APIRouter()
    every.include_router(api.router)
    for part in (jobs, job_files, variables):
        every.include_router(part.router(services))
    return every


def project_of(services: Services, call: Call, wanted: Access) -> Project:
    with services.database.read() as session:
        return lookup.project(session, call, wanted)


def found(services: Services, call: Call, wanted: Access) -> tuple[Project, PipelineView]:
    project = project_of(services, call, wanted)
    number = call.number("pipeline_id", what="pipeline")
    return project, services.pipelines.pipeline(number, project_id=project.id)


def rendered(services: Services, project: Project, view: PipelineView) -> dict[str, Any]:
    with services.database.read() as session:
        return shapes.full(view, services.project_url(project), services.user(session, view.user_id))


def list_pipelines(services: Services, call: Call) -> Answer:
    call.params.refuse(
        username="filter by it yourself", name="filter by it yourself", updated_after="filter by it yourself"
    )
    project = project_of(services, call, Access.REPORTER)
    page = call.page
    views, total = services.pipelines.pipelines(
        project.id,
        limit=page.size,
        offset=page.offset,
        ref=call.params.text("ref"),
        sha=call.params.text("sha"),
        status=call.params.text("status"),
        source=call.params.text("source"),
    )
    return listed(call, [shapes.brief(view, services.project_url(project)) for view in views], total=total)


def create(services: Services, call: Call) -> object:
    project = project_of(services, call, Access.DEVELOPER)
    view = services.pipelines.create(
        project_id=project.id,
        ref=call.params.needed("ref"),
        source="api",
        user_id=call.user.id,
        variables=given_variables(call),
    )
    return rendered(services, project, view)


def given_variables(call: Call, name: str = "variables") -> list[dict[str, str]]:
    """`[{key, value, variable_type}]`. Raises INVALID."""
    given = call.params.get(name) or []
    kept = []
    for each in given if isinstance(given, list) else [None]:
        if not isinstance(each, dict) or not isinstance(each.get("key"), str) or "value" not in each:
            raise BadParameters(f"{name} is invalid: a list of {{key, value}} is wanted")
        kind = each.get("variable_type", "env_var")
        if kind not in ("env_var", "file"):
            raise BadParameters(f"{name}[variable_type] does not have a valid value")
        kept.append({"key": each["key"], "value": str(each["value"]), "variable_type": kind})
    return kept


def latest(services: Services, call: Call) -> object:
    project = project_of(services, call, Access.REPORTER)
    ref = call.params.text("ref") or project.default_branch
    return rendered(services, project, services.pipelines.latest(project.id, ref=ref))


def show(services: Services, call: Call) -> object:
    project, view = found(services, call, Access.REPORTER)
    return rendered(services, project, view)


def delete(services: Services, call: Call) -> Answer:
    _, view = found(services, call, Access.OWNER)
    services.pipelines.delete_pipeline(view.id)
    return NO_CONTENT


def cancel(services: Services, call: Call) -> object:
    project, view = found(services, call, Access.DEVELOPER)
    services.pipelines.cancel_pipeline(view.id)
    return rendered(services, project, services.pipelines.pipeline(view.id))


def retry(services: Services, call: Call) -> object:
    project, view = found(services, call, Access.DEVELOPER)
    services.pipelines.retry_pipeline(view.id, user_id=call.user.id)
    return rendered(services, project, services.pipelines.pipeline(view.id))


def show_variables(services: Services, call: Call) -> object:
    _, view = found(services, call, Access.DEVELOPER)
    return list(view.variables)


def test_report(services: Services, call: Call) -> object:
    _, view = found(services, call, Access.REPORTER)
    return shapes.test_report(services.pipelines.test_report(view.id))


def test_report_summary(services: Services, call: Call) -> object:
    _, view = found(services, call, Access.REPORTER)
    return shapes.test_report_summary(services.pipelines.test_report(view.id))


def bridges(services: Services, call: Call) -> Answer:
    """There are none: `trigger` is refused when a file is read."""
    found(services, call, Access.REPORTER)
    return listed(call, pages.cut([], call.page), total=0)


def lint_committed(services: Services, call: Call) -> object:
    return _lint(services, call, None, call.params.text("content_ref") or call.params.text("sha"))


def lint_given(services: Services, call: Call) -> object:
    return _lint(services, call, call.params.needed("content"), call.params.text("ref"))


def _lint(services: Services, call: Call, content: str | None, ref: str | None) -> object:
    project = project_of(services, call, Access.DEVELOPER)
    checked = services.pipelines.lint(project_id=project.id, content=content, ref=ref, user_id=call.user.id)
    return shapes.lint(checked, with_jobs=call.params.on("include_jobs"))
