"""The tables of pipelines. Everything else in this package reads and writes through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Text, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from riad.kernel.db import Base
from riad.kernel.faults import not_found
from riad.pipelines.status import Status


class PipelineRow(Base):
    """`iid` counts within the project; `variables` are `{key, value, variable_type}` given at creation.

    `origin` names the happening that made it, so that one happening makes one pipeline however often it is told.
    """

    __tablename__ = "pipelines_pipeline"
    __table_args__ = (UniqueConstraint("project_id", "iid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    iid: Mapped[int]
    project_id: Mapped[int] = mapped_column(index=True)
    ref: Mapped[str]
    is_tag: Mapped[bool]
    sha: Mapped[str] = mapped_column(index=True)
    before_sha: Mapped[str]
    source: Mapped[str]
    origin: Mapped[str | None] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(index=True)
    warnings: Mapped[bool] = mapped_column(default=False)
    name: Mapped[str | None]
    yaml_errors: Mapped[str | None] = mapped_column(Text)
    user_id: Mapped[int | None]
    variables: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    stages: Mapped[list[str]] = mapped_column(JSON, default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobRow(Base):
    """One job, or one attempt at it: `retried` rows are history, of each name one row is not.

    `plan` is the `JobPlan` as JSON. The last block is where its run has got to, written before each step.
    """

    __tablename__ = "pipelines_job"
    __table_args__ = (Index("ix_pipelines_job_status_queued_at", "status", "queued_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines_pipeline.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[int] = mapped_column(index=True)
    name: Mapped[str]
    stage: Mapped[str]
    stage_index: Mapped[int]
    status: Mapped[str]
    when: Mapped[str]
    allow_failure: Mapped[bool]
    needs: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)
    user_id: Mapped[int | None]
    retried: Mapped[bool] = mapped_column(default=False)
    attempt: Mapped[int] = mapped_column(default=0)
    played: Mapped[bool] = mapped_column(default=False)
    variables: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    failure_reason: Mapped[str | None]
    failure_message: Mapped[str | None] = mapped_column(Text)
    exit_code: Mapped[int | None]
    coverage: Mapped[float | None]
    environment: Mapped[str | None] = mapped_column(index=True)
    environment_url: Mapped[str | None]
    environment_action: Mapped[str | None]
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    scheduled_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]

    phase: Mapped[str | None]
    container: Mapped[str | None]
    deadline: Mapped[datetime | None]
    trace_offset: Mapped[int] = mapped_column(default=0)
    log_offset: Mapped[int] = mapped_column(default=0)
    first_start: Mapped[str | None]
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class ArtifactRow(Base):
    """A file a job left: `kind` is archive, junit or dotenv; `key` names its blob."""

    __tablename__ = "pipelines_artifact"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("pipelines_job.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    key: Mapped[str]
    filename: Mapped[str]
    size: Mapped[int]
    expire_at: Mapped[datetime | None] = mapped_column(index=True)


class DotenvRow(Base):
    """A variable that a job reported for those after it."""

    __tablename__ = "pipelines_dotenv"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("pipelines_job.id", ondelete="CASCADE"), index=True)
    key: Mapped[str]
    value: Mapped[str] = mapped_column(Text)


class TestCaseRow(Base):
    """One test case of a job's JUnit reports; `status` is success, failed, error or skipped; time in seconds."""

    __tablename__ = "pipelines_test_case"
    __test__ = False

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("pipelines_job.id", ondelete="CASCADE"), index=True)
    suite: Mapped[str] = mapped_column(Text)
    classname: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    file: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str]
    seconds: Mapped[float]
    output: Mapped[str | None] = mapped_column(Text)


class VariableRow(Base):
    """A CI/CD variable of a project or group (`owner`), by GitLab's fields."""

    __tablename__ = "pipelines_variable"
    __table_args__ = (UniqueConstraint("owner", "owner_id", "key", "environment_scope"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]
    owner_id: Mapped[int]
    key: Mapped[str]
    value: Mapped[str] = mapped_column(Text)
    variable_type: Mapped[str] = mapped_column(default="env_var")
    protected: Mapped[bool] = mapped_column(default=False)
    masked: Mapped[bool] = mapped_column(default=False)
    raw: Mapped[bool] = mapped_column(default=False)
    environment_scope: Mapped[str] = mapped_column(default="*")
    description: Mapped[str | None]


def next_iid(session: Session, project_id: int) -> int:
    """Call it inside a write transaction."""
    return (session.scalar(select(func.max(PipelineRow.iid)).where(PipelineRow.project_id == project_id)) or 0) + 1


def pipeline(session: Session, pipeline_id: int, *, project_id: int | None = None) -> PipelineRow:
    """Raises NOT_FOUND, also for one of another project."""
    row = session.get(PipelineRow, pipeline_id)
    if row is None or (project_id is not None and row.project_id != project_id):
        raise not_found(f"there is no pipeline {pipeline_id}")
    return row


def job(session: Session, job_id: int, *, project_id: int | None = None) -> JobRow:
    """Raises NOT_FOUND, also for one of another project."""
    row = session.get(JobRow, job_id)
    if row is None or (project_id is not None and row.project_id != project_id):
        raise not_found(f"there is no job {job_id}")
    return row


def jobs_of(session: Session, pipeline_id: int, *, retried: bool = False) -> list[JobRow]:
    """In the order of stages and of the file; with `retried` also earlier attempts."""
    query = select(JobRow).where(JobRow.pipeline_id == pipeline_id).order_by(JobRow.stage_index, JobRow.id)
    return list(session.scalars(query if retried else query.where(JobRow.retried.is_(False))))


def artifacts_of(session: Session, job_ids: Iterable[int]) -> Sequence[ArtifactRow]:
    ids = list(job_ids)
    return session.scalars(select(ArtifactRow).where(ArtifactRow.job_id.in_(ids)).order_by(ArtifactRow.id)).all()


def jobs_in(session: Session, *statuses: Status) -> list[JobRow]:
    """Oldest in the queue first."""
    query = select(JobRow).where(JobRow.status.in_([*statuses]), JobRow.retried.is_(False))
    return list(session.scalars(query.order_by(JobRow.queued_at, JobRow.id)))
