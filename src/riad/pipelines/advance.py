"""Brings a pipeline to where its jobs have got: applies the schedule's decisions, announces what has ended.

Every verb that changes a job calls `advance` in the same transaction, so a pipeline is never behind its jobs.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from riad.kernel.clock import Clock
from riad.kernel.outbox import emit
from riad.pipelines import codec
from riad.pipelines.language.model import When
from riad.pipelines.schedule import JobState, has_warnings, schedule
from riad.pipelines.status import ACTIVE, COMPLETED, Status, check
from riad.pipelines.store import JobRow, PipelineRow, jobs_of, pipeline

JOB_FINISHED = "pipelines.job_finished"
"""`{job_id, pipeline_id, project_id, name, status, environment, environment_action}`."""


def advance(session: Session, pipeline_id: int, *, clock: Clock) -> Status:
    """Returns the pipeline's state afterwards."""
    row = pipeline(session, pipeline_id)
    jobs = jobs_of(session, pipeline_id)
    decisions, status = schedule([state_of(job) for job in jobs])
    by_id = {job.id: job for job in jobs}
    for decision in decisions:
        set_status(session, by_id[decision.job_id], decision.status, clock=clock)
    row.warnings = has_warnings(state_of(job) for job in jobs)
    _set_pipeline_status(session, row, status, clock=clock)
    return status


def state_of(job: JobRow) -> JobState:
    return JobState(
        id=job.id,
        name=job.name,
        stage_index=job.stage_index,
        status=Status(job.status),
        when=When(job.when),
        allow_failure=job.allow_failure,
        needs=None if job.needs is None else tuple(job.needs),
        played=job.played,
    )


def set_status(session: Session, job: JobRow, wanted: Status, *, clock: Clock) -> None:
    """The one place where a job's state changes. Raises CONFLICT for what its life cycle does not allow."""
    job.status = check(Status(job.status), wanted, f"job {job.id} ({job.name})")
    now = clock.now()
    match wanted:
        case Status.PENDING:
            job.queued_at = now
        case Status.SCHEDULED:
            job.scheduled_at = now + timedelta(seconds=codec.from_json(job.plan).start_in or 0)
        case Status.RUNNING:
            job.started_at = now
        case Status.SUCCESS | Status.FAILED | Status.CANCELED:
            job.finished_at = now
            _announce(session, job, clock=clock)
        case _:
            pass


def _announce(session: Session, job: JobRow, *, clock: Clock) -> None:
    payload = {
        "job_id": job.id,
        "pipeline_id": job.pipeline_id,
        "project_id": job.project_id,
        "name": job.name,
        "status": job.status,
        "environment": job.environment,
        "environment_action": job.environment_action,
    }
    emit(session, JOB_FINISHED, payload, clock=clock)


def _set_pipeline_status(session: Session, row: PipelineRow, status: Status, *, clock: Clock) -> None:
    before, now = Status(row.status), clock.now()
    if status in ACTIVE and row.started_at is None and status is not Status.PENDING:
        row.started_at = now
    if status is before:
        return
    row.status, row.updated_at = status, now
    if status in COMPLETED:
        row.finished_at = now
        payload = {"pipeline_id": row.id, "project_id": row.project_id, "status": str(status)}
        emit(session, "pipelines.pipeline_finished", payload, clock=clock)
    else:
        row.finished_at = None
