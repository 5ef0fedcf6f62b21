"""Pipelines: the list, one with its jobs as a picture, its test report, and what can be done to it."""

from __future__ import annotations

import re

from fastapi import Response

from riad.forge.repository import Repository
from riad.identity.model import Access
from riad.kernel.faults import Fault, invalid
from riad.pipelines import control
from riad.pipelines.show import PipelineView, list_pipelines, show_pipeline, test_report
from riad.pipelines.status import COMPLETED
from riad.web.here import Here, here
from riad.web.pages import Pages
from riad.web.visit import Visit

PER_PAGE = 20


def add(pages: Pages) -> None:
    root = "/{group}/{name}/-/pipelines"
    pages.get(root)(listed)
    pages.post(root)(run)
    pages.get(root + "/{id}")(show)
    pages.get(root + "/{id}/test_report")(tests)
    pages.post(root + "/{id}/cancel")(cancel)
    pages.post(root + "/{id}/retry")(retry)


def listed(visit: Visit) -> Response:
    at = here(visit)
    ref = visit.query("ref") or None
    found, total = list_pipelines(
        visit.session, at.project.id, limit=PER_PAGE, offset=(visit.page_number - 1) * PER_PAGE, ref=ref
    )
    repository = at.repository()
    return visit.render(
        "pipelines_rows.html" if visit.partial else "pipelines.html",
        here=at,
        tab="pipelines",
        pipelines=found,
        commits={p.sha: repository.commit(p.sha) for p in found},
        people=at.people(p.user_id for p in found),
        total=total,
        per_page=PER_PAGE,
        ref=ref,
        refs=[branch.name for branch in repository.branches()],
        active=any(p.status not in COMPLETED for p in found),
    )


def run(visit: Visit) -> Response:
    at = here(visit, Access.DEVELOPER)
    ref = visit.field("ref") or at.project.default_branch
    try:
        made = visit.services.run_pipeline(project_id=at.project.id, ref=ref, user_id=visit.user.id)
    except Fault as fault:
        return visit.go(f"{at.root}/-/pipelines", notice=f"No pipeline was started: {fault.message}")
    return visit.go(f"{at.root}/-/pipelines/{made}")


def show(visit: Visit) -> Response:
    at, pipeline = _here(visit)
    repository = at.repository()
    report = test_report(visit.session, pipeline.id)
    return visit.render(
        "pipeline_live.html" if visit.partial else "pipeline.html",
        here=at,
        tab="pipelines",
        pipeline=pipeline,
        commit=repository.commit(pipeline.sha),
        person=at.people([pipeline.user_id]).get(pipeline.user_id or 0),
        active=pipeline.status not in COMPLETED,
        report=report,
        findings=findings_of(pipeline.yaml_errors or ""),
        by_name={job.name: job for job in pipeline.jobs},
        current=_is_current(repository, pipeline),
    )


def findings_of(errors: str) -> list[str]:
    """The validator's findings, one by one: each begins with its line."""
    return [finding for finding in re.split(r"; (?=line \d+: )|\n", errors) if finding]


def _is_current(repository: Repository, pipeline: PipelineView) -> bool:
    """Whether the branch still points at the pipeline's commit."""
    branch = repository.branch(pipeline.ref)
    return branch is not None and branch.commit.sha == pipeline.sha


def tests(visit: Visit) -> Response:
    at, pipeline = _here(visit)
    report = test_report(visit.session, pipeline.id)
    return visit.render("tests.html", here=at, tab="pipelines", pipeline=pipeline, report=report)


def cancel(visit: Visit) -> Response:
    at, pipeline = _here(visit, Access.DEVELOPER)
    with visit.write() as session:
        control.cancel_pipeline(session, pipeline.id, clock=visit.services.clock)
    return _done(visit, at, pipeline)


def retry(visit: Visit) -> Response:
    at, pipeline = _here(visit, Access.DEVELOPER)
    if not pipeline.jobs:
        raise invalid("this pipeline has no jobs to retry; push a change")
    with visit.write() as session:
        control.retry_pipeline(session, pipeline.id, user_id=visit.user.id, clock=visit.services.clock)
    return _done(visit, at, pipeline)


def _done(visit: Visit, at: Here, pipeline: PipelineView) -> Response:
    visit.services.wake_pipelines()
    return visit.go(f"{at.root}/-/pipelines/{pipeline.id}")


def _here(visit: Visit, wanted: Access = Access.REPORTER) -> tuple[Here, PipelineView]:
    at = here(visit, wanted)
    return at, show_pipeline(visit.session, visit.number("id"), project_id=at.project.id)
