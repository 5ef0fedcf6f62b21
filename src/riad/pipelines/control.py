"""Cancel, retry, play: what people do to pipelines and jobs that exist. Each verb brings its pipeline up to date."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from riad.kernel.clock import Clock
from riad.kernel.faults import conflict
from riad.pipelines.advance import advance, set_status
from riad.pipelines.status import CANCELABLE, COMPLETED, RETRYABLE, Status
from riad.pipelines.store import JobRow, PipelineRow, TestCaseRow, artifacts_of, job, jobs_of, pipeline


def cancel_pipeline(session: Session, pipeline_id: int, *, clock: Clock) -> None:
    """Jobs that wait are canceled, running ones asked to end. No error where all has ended."""
    pipeline(session, pipeline_id)
    for row in jobs_of(session, pipeline_id):
        if Status(row.status) in CANCELABLE:
            _cancel(session, row, clock=clock)
    advance(session, pipeline_id, clock=clock)


def cancel_redundant(session: Session, newer: PipelineRow, *, clock: Clock) -> None:
    """A push makes older pipelines of its branch pointless: they are canceled, unless a job has started that does not
    say `interruptible: true` (GitLab's conservative auto-cancel).
    """
    query = select(PipelineRow.id).where(
        PipelineRow.project_id == newer.project_id,
        PipelineRow.ref == newer.ref,
        PipelineRow.is_tag.is_(False),
        PipelineRow.source == "push",
        PipelineRow.id < newer.id,
        PipelineRow.finished_at.is_(None),
    )
    for pipeline_id in session.scalars(query).all():
        started = [row for row in jobs_of(session, pipeline_id, retried=True) if row.started_at is not None]
        if all(row.plan.get("interruptible") for row in started):
            cancel_pipeline(session, pipeline_id, clock=clock)


def cancel_job(session: Session, job_id: int, *, clock: Clock) -> JobRow:
    row = job(session, job_id)
    if Status(row.status) in CANCELABLE:
        _cancel(session, row, clock=clock)
        advance(session, row.pipeline_id, clock=clock)
    elif Status(row.status) not in COMPLETED | {Status.CANCELING}:
        raise conflict(f"job {job_id} is {row.status}, there is nothing to cancel")
    return row


def _cancel(session: Session, row: JobRow, *, clock: Clock) -> None:
    wanted = Status.CANCELING if Status(row.status) is Status.RUNNING else Status.CANCELED
    set_status(session, row, wanted, clock=clock)


def retry_job(session: Session, job_id: int, *, user_id: int | None, clock: Clock) -> JobRow:
    """A new attempt, at once; what was skipped after it gets another chance. CONFLICT for what has not ended."""
    old = job(session, job_id)
    if Status(old.status) not in RETRYABLE or old.retried:
        raise conflict(f"job {job_id} is {'retried already' if old.retried else old.status}, it cannot be retried")
    new = clone(session, old, user_id=user_id, clock=clock)
    new.played = True
    set_status(session, new, Status.PENDING, clock=clock)
    _reset_skipped_after(session, new)
    advance(session, new.pipeline_id, clock=clock)
    return new


def retry_pipeline(session: Session, pipeline_id: int, *, user_id: int | None, clock: Clock) -> None:
    """Every failed and canceled job again, in order; successful ones stay."""
    pipeline(session, pipeline_id)
    for old in jobs_of(session, pipeline_id):
        status = Status(old.status)
        if status in (Status.FAILED, Status.CANCELED):
            new = clone(session, old, user_id=user_id, clock=clock)
            new.played = old.played
        elif status is Status.SKIPPED:
            old.status = Status.CREATED
    session.flush()
    advance(session, pipeline_id, clock=clock)


def play(
    session: Session, job_id: int, *, user_id: int | None, variables: Sequence[dict[str, str]] = (), clock: Clock
) -> JobRow:
    """Starts a manual (or not yet due) job. CONFLICT for any other."""
    row = job(session, job_id)
    if Status(row.status) not in (Status.MANUAL, Status.SCHEDULED):
        raise conflict(f"job {job_id} is {row.status}: only a manual or delayed job that waits can be played")
    row.played, row.variables = True, [{"variable_type": "env_var", **variable} for variable in variables]
    if user_id is not None:
        row.user_id = user_id
    set_status(session, row, Status.PENDING, clock=clock)
    _reset_skipped_after(session, row)
    advance(session, row.pipeline_id, clock=clock)
    return row


def clone(session: Session, old: JobRow, *, user_id: int | None, clock: Clock) -> JobRow:
    """A fresh row for the same job of the plan; the old one becomes history."""
    old.retried = True
    new = JobRow(
        pipeline_id=old.pipeline_id,
        project_id=old.project_id,
        name=old.name,
        stage=old.stage,
        stage_index=old.stage_index,
        status=Status.CREATED,
        when=old.when,
        allow_failure=bool(old.plan["allow_failure"]["allowed"]),
        needs=old.needs,
        plan=old.plan,
        user_id=user_id if user_id is not None else old.user_id,
        attempt=old.attempt + 1,
        variables=old.variables,
        environment=old.environment,
        environment_url=(old.plan.get("environment") or {}).get("url"),
        environment_action=old.environment_action,
        created_at=clock.now(),
    )
    session.add(new)
    session.flush()
    return new


def _reset_skipped_after(session: Session, row: JobRow) -> None:
    """Jobs that were skipped because of what this one did before: later stages, and whoever needs it."""
    touched = {row.name}
    for other in jobs_of(session, row.pipeline_id):
        follows = (
            any(n in touched for n in other.needs) if other.needs is not None else (other.stage_index > row.stage_index)
        )
        if follows and Status(other.status) is Status.SKIPPED:
            other.status = Status.CREATED
            touched.add(other.name)
    session.flush()


def erase(session: Session, job_id: int, *, clock: Clock) -> list[str]:
    """Forgets what a finished job made; returns the blob keys to delete. CONFLICT for one that has not finished."""
    row = job(session, job_id)
    if Status(row.status) not in COMPLETED:
        raise conflict(f"job {job_id} is {row.status}, only a finished job can be erased")
    rows = artifacts_of(session, [job_id])
    keys = [artifact.key for artifact in rows]
    for artifact in rows:
        session.delete(artifact)
    session.execute(delete(TestCaseRow).where(TestCaseRow.job_id == job_id))
    row.erased_at = clock.now()
    session.flush()
    return keys


def delete_pipeline(session: Session, pipeline_id: int) -> tuple[list[int], list[str]]:
    """Forgets it; returns the job ids (their traces) and the blob keys to delete. CONFLICT while jobs run."""
    row = pipeline(session, pipeline_id)
    jobs = jobs_of(session, pipeline_id, retried=True)
    if any(Status(j.status) in (Status.RUNNING, Status.CANCELING) for j in jobs):
        raise conflict(f"pipeline {pipeline_id} is running; cancel it first")
    keys = [artifact.key for artifact in artifacts_of(session, [j.id for j in jobs])]
    ids = [j.id for j in jobs]
    session.delete(row)
    session.flush()
    return ids, keys
