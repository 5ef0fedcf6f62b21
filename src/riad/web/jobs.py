"""A job: its log as it grows, its artifacts, and what can be done to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

from fastapi import Response
from fastapi.responses import StreamingResponse

from riad.identity.model import Access
from riad.kernel.faults import not_found
from riad.pipelines import control
from riad.pipelines.show import JobView, show_job, show_pipeline
from riad.pipelines.status import COMPLETED
from riad.pipelines.store import artifacts_of
from riad.web import ansi, log_state, templates
from riad.web.here import Here, here
from riad.web.pages import Pages
from riad.web.visit import Visit

PIECE = 512 * 1024
"""Bytes of log rendered at once; the page asks for the next piece until it has all."""


def add(pages: Pages) -> None:
    root = "/{group}/{name}/-/jobs/{id}"
    pages.get(root)(show)
    pages.get(root + "/trace")(trace)
    pages.get(root + "/raw")(raw)
    pages.get(root + "/artifacts/{kind}")(artifact)
    pages.post(root + "/cancel")(cancel)
    pages.post(root + "/retry")(retry)
    pages.post(root + "/play")(play)


def show(visit: Visit) -> Response:
    at, job = _here(visit)
    pipeline = show_pipeline(visit.session, job.pipeline_id)
    return visit.render(
        "job_live.html" if visit.partial else "job.html",
        here=at,
        tab="pipelines",
        job=job,
        pipeline=pipeline,
        commit=at.repository().commit(pipeline.sha),
        person=at.people([job.user_id]).get(job.user_id or 0),
        active=job.status not in COMPLETED,
        attempts=[other for other in (*pipeline.history, *pipeline.jobs) if other.name == job.name],
        log=_rendered(visit, job, ""),
    )


def trace(visit: Visit) -> Response:
    """What has been added to the log since `state`: rows as HTML and the state for the next question."""
    _, job = _here(visit)
    return Response(json.dumps(_rendered(visit, job, visit.query("state"))), media_type="application/json")


def _rendered(visit: Visit, job: JobView, state_text: str) -> dict[str, object]:
    offset, state = log_state.from_text(state_text) or (0, ansi.State())
    piece = visit.services.traces.read(job.id, offset, PIECE)
    fresh = piece.offset < offset  # a resumed job writes its log anew: begin again
    if fresh:
        offset, state = 0, ansi.State()
        piece = visit.services.traces.read(job.id, 0, PIECE)
    over = job.status in COMPLETED
    last = piece.next_offset >= piece.size
    made = ansi.render(piece.data, state, ended=(over and last) or (b"\n" not in piece.data and not last))
    macros = templates.environment().get_template("log_rows.html").module
    return {
        "html": str(macros.rows(made.rows)),  # type: ignore[attr-defined]
        "tail": str(macros.rows([made.tail])) if made.tail else "",  # type: ignore[attr-defined]
        "closed": [[closed.id, closed.seconds] for closed in made.closed],
        "state": log_state.to_text(offset + made.taken, made.state),
        "fresh": fresh or not state_text,
        "more": not last,
        "over": over,
    }


def raw(visit: Visit) -> Response:
    _, job = _here(visit)
    path = visit.services.traces.path(job.id)
    if not path.exists():
        raise not_found("this job has no log yet")
    return StreamingResponse(_pieces(path.open("rb")), media_type="text/plain; charset=utf-8")


def artifact(visit: Visit) -> Response:
    _, job = _here(visit)
    kind = visit.path("kind")
    found = [a for a in artifacts_of(visit.session, [job.id]) if a.kind == kind]
    if not found or visit.services.blobs.size(found[-1].key) is None:
        raise not_found("this job has no such artifact, or it has expired")
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in found[-1].filename.rpartition("/")[2])
    headers = {"Content-Disposition": f'attachment; filename="{safe}"', "Content-Length": str(found[-1].size)}
    pieces = _pieces(visit.services.blobs.open(found[-1].key))
    return StreamingResponse(pieces, headers=headers, media_type="application/octet-stream")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(256 * 1024):
            yield piece


def cancel(visit: Visit) -> Response:
    at, job = _here(visit, Access.DEVELOPER)
    with visit.write() as session:
        control.cancel_job(session, job.id, clock=visit.services.clock)
    return _done(visit, at, job.id)


def retry(visit: Visit) -> Response:
    at, job = _here(visit, Access.DEVELOPER)
    with visit.write() as session:
        made = control.retry_job(session, job.id, user_id=visit.user.id, clock=visit.services.clock).id
    return _done(visit, at, made)


def play(visit: Visit) -> Response:
    at, job = _here(visit, Access.DEVELOPER)
    with visit.write() as session:
        control.play(session, job.id, user_id=visit.user.id, clock=visit.services.clock)
    return _done(visit, at, job.id)


def _done(visit: Visit, at: Here, job_id: int) -> Response:
    visit.services.wake_pipelines()
    return visit.go(f"{at.root}/-/jobs/{job_id}")


def _here(visit: Visit, wanted: Access = Access.REPORTER) -> tuple[Here, JobView]:
    at = here(visit, wanted)
    return at, show_job(visit.session, visit.number("id"), project_id=at.project.id)
