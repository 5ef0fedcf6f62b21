"""What pages and APIs show of pipelines and jobs: read models, made with few queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from riad.kernel.faults import not_found
from riad.pipelines.advance import state_of
from riad.pipelines.schedule import has_warnings, pipeline_status
from riad.pipelines.status import CANCELABLE, RETRYABLE, FailureReason, Status
from riad.pipelines.store import ArtifactRow, JobRow, PipelineRow, TestCaseRow, artifacts_of, job, jobs_of, pipeline


@dataclass(frozen=True, slots=True)
class ArtifactView:
    kind: str
    filename: str
    size: int
    expire_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobView:
    """One job (attempt). `duration` and `queued` in seconds; `needs` None: waits for earlier stages."""

    id: int
    pipeline_id: int
    project_id: int
    name: str
    stage: str
    stage_index: int
    status: Status
    when: str
    allow_failure: bool
    needs: tuple[str, ...] | None
    tags: tuple[str, ...]
    user_id: int | None
    retried: bool
    attempt: int
    failure_reason: str | None
    failure_message: str | None
    exit_code: int | None
    coverage: float | None
    environment: str | None
    environment_url: str | None
    environment_action: str | None
    created_at: datetime
    queued_at: datetime | None
    scheduled_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    erased_at: datetime | None
    artifacts: tuple[ArtifactView, ...] = ()

    @property
    def duration(self) -> float | None:
        """None before it runs; of a running one None too (the clock is the caller's)."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def queued(self) -> float | None:
        if self.queued_at is None or self.started_at is None:
            return None
        return (self.started_at - self.queued_at).total_seconds()

    @property
    def playable(self) -> bool:
        return self.status in (Status.MANUAL, Status.SCHEDULED)

    @property
    def retryable(self) -> bool:
        return self.status in RETRYABLE and not self.retried

    @property
    def cancelable(self) -> bool:
        return self.status in CANCELABLE

    def stuck(self, runner_tags: Collection[str]) -> str | None:
        """Why a pending job will never start, or None."""
        missing = [tag for tag in self.tags if tag not in runner_tags]
        if self.status is not Status.PENDING or not missing:
            return None
        known = ", ".join(sorted(runner_tags)) or "none"
        return f"no runner has the tag {', '.join(missing)} (there are: {known}); change the job's `tags`"


@dataclass(frozen=True, slots=True)
class StageView:
    name: str
    status: Status
    warnings: bool
    jobs: tuple[JobView, ...]


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline; `stages` in order, each with its latest jobs; `history` the earlier attempts at jobs."""

    id: int
    iid: int
    project_id: int
    ref: str
    is_tag: bool
    sha: str
    before_sha: str
    source: str
    status: Status
    warnings: bool
    name: str | None
    yaml_errors: str | None
    user_id: int | None
    variables: tuple[dict[str, str], ...]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stages: tuple[StageView, ...]
    history: tuple[JobView, ...]

    @property
    def jobs(self) -> tuple[JobView, ...]:
        return tuple(job for stage in self.stages for job in stage.jobs)

    @property
    def duration(self) -> float | None:
        """From the first start to the end, in seconds."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def coverage(self) -> float | None:
        found = [job.coverage for job in self.jobs if job.coverage is not None]
        return sum(found) / len(found) if found else None


def show_pipeline(session: Session, pipeline_id: int, *, project_id: int | None = None) -> PipelineView:
    """Raises NOT_FOUND."""
    row = pipeline(session, pipeline_id, project_id=project_id)
    return _pipeline_views(session, [row])[0]


def list_pipelines(
    session: Session,
    project_id: int,
    *,
    limit: int = 20,
    offset: int = 0,
    ref: str | None = None,
    sha: str | None = None,
    status: str | None = None,
    source: str | None = None,
) -> tuple[list[PipelineView], int]:
    """Newest first, and how many there are in all."""
    query = select(PipelineRow).where(PipelineRow.project_id == project_id)
    for column, wanted in ((PipelineRow.ref, ref), (PipelineRow.sha, sha), (PipelineRow.source, source)):
        if wanted is not None:
            query = query.where(column == wanted)
    if status is not None:
        query = query.where(PipelineRow.status == status)
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = session.scalars(query.order_by(PipelineRow.id.desc()).limit(limit).offset(offset)).all()
    return _pipeline_views(session, rows), total


def latest_pipeline(
    session: Session, project_id: int, *, ref: str | None = None, sha: str | None = None
) -> PipelineView:
    found, _ = list_pipelines(session, project_id, limit=1, ref=ref, sha=sha)
    if not found:
        raise not_found("there is no pipeline yet")
    return found[0]


def _pipeline_views(session: Session, rows: Sequence[PipelineRow]) -> list[PipelineView]:
    jobs: dict[int, list[JobRow]] = defaultdict(list)
    query = select(JobRow).where(JobRow.pipeline_id.in_([row.id for row in rows]))
    for found in session.scalars(query.order_by(JobRow.stage_index, JobRow.id)):
        jobs[found.pipeline_id].append(found)
    kept: dict[int, list[ArtifactRow]] = defaultdict(list)
    for artifact in artifacts_of(session, (j.id for group in jobs.values() for j in group)):
        kept[artifact.job_id].append(artifact)
    return [_pipeline_view(row, jobs[row.id], kept) for row in rows]


def _pipeline_view(row: PipelineRow, jobs: list[JobRow], artifacts: dict[int, list[ArtifactRow]]) -> PipelineView:
    stages = []
    for name in row.stages:
        members = [j for j in jobs if j.stage == name and not j.retried]
        states = [state_of(j) for j in members]
        views = tuple(_job_view(j, artifacts[j.id]) for j in members)
        stages.append(StageView(name, pipeline_status(states), has_warnings(states), views))
    return PipelineView(
        id=row.id,
        iid=row.iid,
        project_id=row.project_id,
        ref=row.ref,
        is_tag=row.is_tag,
        sha=row.sha,
        before_sha=row.before_sha,
        source=row.source,
        status=Status(row.status),
        warnings=row.warnings,
        name=row.name,
        yaml_errors=row.yaml_errors,
        user_id=row.user_id,
        variables=tuple(row.variables),
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        stages=tuple(stages),
        history=tuple(_job_view(j, artifacts[j.id]) for j in jobs if j.retried),
    )


def show_job(session: Session, job_id: int, *, project_id: int | None = None) -> JobView:
    """Raises NOT_FOUND."""
    row = job(session, job_id, project_id=project_id)
    return _job_view(row, artifacts_of(session, [row.id]))


def list_jobs(
    session: Session, project_id: int, *, limit: int, offset: int, statuses: Sequence[str] = ()
) -> tuple[list[JobView], int]:
    """A project's jobs, newest first, and how many there are in all."""
    query = select(JobRow).where(JobRow.project_id == project_id)
    if statuses:
        query = query.where(JobRow.status.in_(statuses))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = session.scalars(query.order_by(JobRow.id.desc()).limit(limit).offset(offset)).all()
    return _with_artifacts(session, rows), total


def pipeline_jobs(session: Session, pipeline_id: int, *, retried: bool = False) -> list[JobView]:
    return _with_artifacts(session, jobs_of(session, pipeline_id, retried=retried))


def _with_artifacts(session: Session, rows: Sequence[JobRow]) -> list[JobView]:
    kept: dict[int, list[ArtifactRow]] = defaultdict(list)
    for artifact in artifacts_of(session, (row.id for row in rows)):
        kept[artifact.job_id].append(artifact)
    return [_job_view(row, kept[row.id]) for row in rows]


def _job_view(row: JobRow, artifacts: Sequence[ArtifactRow]) -> JobView:
    return JobView(
        id=row.id,
        pipeline_id=row.pipeline_id,
        project_id=row.project_id,
        name=row.name,
        stage=row.stage,
        stage_index=row.stage_index,
        status=Status(row.status),
        when=row.when,
        allow_failure=row.allow_failure,
        needs=None if row.needs is None else tuple(row.needs),
        tags=tuple(row.plan.get("tags") or ()),
        user_id=row.user_id,
        retried=row.retried,
        attempt=row.attempt,
        failure_reason=row.failure_reason,
        failure_message=row.failure_message or _reason_text(row),
        exit_code=row.exit_code,
        coverage=row.coverage,
        environment=row.environment,
        environment_url=row.environment_url,
        environment_action=row.environment_action,
        created_at=row.created_at,
        queued_at=row.queued_at,
        scheduled_at=row.scheduled_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        erased_at=row.erased_at,
        artifacts=tuple(ArtifactView(a.kind, a.filename, a.size, a.expire_at) for a in artifacts),
    )


def _reason_text(row: JobRow) -> str | None:
    if row.failure_reason == FailureReason.SCRIPT and row.exit_code is not None:
        return f"the script ended with exit code {row.exit_code}"
    return None


@dataclass(frozen=True, slots=True)
class CaseView:
    job_id: int
    suite: str
    classname: str
    name: str
    file: str | None
    status: str
    seconds: float
    output: str | None


@dataclass(frozen=True, slots=True)
class SuiteView:
    """The test cases of one job."""

    name: str
    job_id: int
    cases: tuple[CaseView, ...]

    def count(self, status: str) -> int:
        return sum(case.status == status for case in self.cases)

    @property
    def seconds(self) -> float:
        return sum(case.seconds for case in self.cases)


@dataclass(frozen=True, slots=True)
class TestReport:
    """A pipeline's tests: one suite per job that reported any, as GitLab groups them."""

    __test__ = False

    suites: tuple[SuiteView, ...]

    def count(self, status: str) -> int:
        return sum(suite.count(status) for suite in self.suites)

    @property
    def total(self) -> int:
        return sum(len(suite.cases) for suite in self.suites)

    @property
    def seconds(self) -> float:
        return sum(suite.seconds for suite in self.suites)

    @property
    def failures(self) -> tuple[CaseView, ...]:
        return tuple(c for suite in self.suites for c in suite.cases if c.status in ("failed", "error"))


def test_report(session: Session, pipeline_id: int) -> TestReport:
    jobs = {row.id: row for row in jobs_of(session, pipeline_id)}
    query = select(TestCaseRow).where(TestCaseRow.job_id.in_(jobs)).order_by(TestCaseRow.job_id, TestCaseRow.id)
    cases: dict[int, list[CaseView]] = defaultdict(list)
    for row in session.scalars(query):
        cases[row.job_id].append(
            CaseView(row.job_id, row.suite, row.classname, row.name, row.file, row.status, row.seconds, row.output)
        )
    return TestReport(tuple(SuiteView(jobs[i].name, i, tuple(found)) for i, found in cases.items()))


test_report.__test__ = False  # type: ignore[attr-defined]  # its name is not a test's
