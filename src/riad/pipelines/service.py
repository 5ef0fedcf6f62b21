"""The verbs of pipelines as one object: what pages and protocols call, and where the runner is told about it.

Every verb opens its own transaction, so call it outside of any. Reading verbs give the read models of `show`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from sqlalchemy import select

from riad.dockerclient.errors import faults_ignored
from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind, invalid, not_found
from riad.pipelines import control, create, project_variables, show, store
from riad.pipelines.create import ZERO, CommitFiles, Creation, Trigger, context_of
from riad.pipelines.expire import CACHES
from riad.pipelines.language.compile import compile_config
from riad.pipelines.language.lint import lint
from riad.pipelines.language.plan import Nothing, PipelinePlan
from riad.pipelines.ports import Projects, Server, Source, Users
from riad.pipelines.status import Status
from riad.pipelines.store import ArtifactRow, JobRow, PipelineRow
from riad.pipelines.traces import Slice, Traces

BRANCHES, TAGS = "refs/heads/", "refs/tags/"


def _nobody() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Lint:
    """`errors` one line per finding; `plan` what would run, None where it is not valid or nothing would."""

    valid: bool
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    plan: PipelinePlan | None


@dataclass(frozen=True, slots=True)
class PipelineService:
    """`notify` is the runner's; `runner_tags` what it takes, to tell why a job waits for ever."""

    database: Database
    clock: Clock
    source: Source
    projects: Projects
    users: Users
    server: Server
    blobs: BlobStore
    traces: Traces
    notify: Callable[[], None] = _nobody
    runner_tags: frozenset[str] = field(default_factory=frozenset)

    # -- create

    def pushed(
        self,
        *,
        project_id: int,
        ref: str,
        before: str,
        after: str,
        user_id: int | None,
        origin: str | None = None,
        options: Sequence[str] = (),
    ) -> int | None:
        """The reaction to a push of a full ref name (`refs/heads/main`); the pipeline's id, None where there is none.

        `origin` should name the event, so that telling it twice makes one pipeline.
        """
        if after == ZERO or not ref.startswith((BRANCHES, TAGS)):
            return None
        is_tag = ref.startswith(TAGS)
        short = ref.removeprefix(TAGS if is_tag else BRANCHES)
        return self._create(
            Trigger(
                project_id=project_id,
                ref=short,
                sha=after,
                is_tag=is_tag,
                before_sha=before,
                user_id=user_id,
                origin=origin,
                options=options,
            )
        )

    def create(
        self, *, project_id: int, ref: str, source: str, user_id: int | None, variables: Sequence[dict[str, str]] = ()
    ) -> show.PipelineView:
        """A pipeline that someone asks for (`source` web or api). Raises INVALID with the reason where none is made."""
        resolved = self.source.resolve(project_id, ref)
        if resolved is None:
            raise invalid(f"there is no branch or tag `{ref}`")
        made = self._create(
            Trigger(
                project_id=project_id,
                ref=resolved.ref,
                sha=resolved.sha,
                is_tag=resolved.is_tag,
                source=source,
                user_id=user_id,
                variables=variables,
            )
        )
        assert made is not None
        return self.pipeline(made)

    def _create(self, trigger: Trigger) -> int | None:
        made = create.create(self._creation(), trigger)
        self.notify()
        return made

    def _creation(self) -> Creation:
        return Creation(self.database, self.clock, self.source, self.projects, self.users, self.server)

    def lint(self, *, project_id: int, content: str | None, ref: str | None, user_id: int | None) -> Lint:
        """What `content` (None: the file at `ref`, default branch) would make of a push to `ref`."""
        project = self.projects.get(project_id)
        resolved = self.source.resolve(project_id, ref or project.default_branch)
        if resolved is None:
            raise not_found(f"there is no branch or tag `{ref or project.default_branch}`")
        files = CommitFiles(self.source, project_id, resolved.sha)
        text = content if content is not None else files.read(".gitlab-ci.yml")
        if text is None:
            return Lint(False, ("there is no .gitlab-ci.yml",), (), None)
        trigger = Trigger(project_id, resolved.ref, resolved.sha, resolved.is_tag, user_id=user_id)
        commit = self.source.commit(project_id, resolved.sha)
        try:
            plan = compile_config(lint(text, files), context_of(self._creation(), trigger, project, commit))
        except Fault as fault:
            if fault.kind not in (Kind.INVALID, Kind.UNSUPPORTED):
                raise
            return Lint(False, tuple(map(str, fault.findings)) or (fault.message,), (), None)
        if isinstance(plan, Nothing):
            return Lint(True, (), (plan.reason,), None)
        return Lint(True, (), (), plan)

    # -- read

    def pipeline(self, pipeline_id: int, *, project_id: int | None = None) -> show.PipelineView:
        """Raises NOT_FOUND."""
        with self.database.read() as session:
            return show.show_pipeline(session, pipeline_id, project_id=project_id)

    def pipelines(
        self,
        project_id: int,
        *,
        limit: int = 20,
        offset: int = 0,
        ref: str | None = None,
        sha: str | None = None,
        status: str | None = None,
        source: str | None = None,
    ) -> tuple[list[show.PipelineView], int]:
        """Newest first, and how many there are in all."""
        with self.database.read() as session:
            return show.list_pipelines(
                session, project_id, limit=limit, offset=offset, ref=ref, sha=sha, status=status, source=source
            )

    def latest(self, project_id: int, *, ref: str | None = None, sha: str | None = None) -> show.PipelineView:
        """Raises NOT_FOUND."""
        with self.database.read() as session:
            return show.latest_pipeline(session, project_id, ref=ref, sha=sha)

    def job(self, job_id: int, *, project_id: int | None = None) -> show.JobView:
        """Raises NOT_FOUND."""
        with self.database.read() as session:
            return show.show_job(session, job_id, project_id=project_id)

    def jobs(
        self, project_id: int, *, limit: int = 20, offset: int = 0, statuses: Sequence[str] = ()
    ) -> tuple[list[show.JobView], int]:
        with self.database.read() as session:
            return show.list_jobs(session, project_id, limit=limit, offset=offset, statuses=statuses)

    def pipeline_jobs(self, pipeline_id: int, *, retried: bool = False) -> list[show.JobView]:
        with self.database.read() as session:
            return show.pipeline_jobs(session, pipeline_id, retried=retried)

    def stuck(self, job: show.JobView) -> str | None:
        """Why a pending job will never start, or None."""
        return job.stuck(self.runner_tags)

    def test_report(self, pipeline_id: int) -> show.TestReport:
        with self.database.read() as session:
            return show.test_report(session, pipeline_id)

    def trace(self, job_id: int, *, offset: int = 0, limit: int | None = None) -> Slice:
        """Part of a job's log, in bytes; a negative offset counts from the end."""
        return self.traces.read(job_id, offset, limit)

    def archive(self, job_id: int) -> tuple[ArtifactRow, BinaryIO]:
        """A job's artifacts, a zip; the caller closes it. Raises NOT_FOUND, also once they have expired."""
        with self.database.read() as session:
            query = select(ArtifactRow).where(ArtifactRow.job_id == job_id, ArtifactRow.kind == "archive")
            row = session.scalar(query)
        if row is None:
            raise not_found(f"job {job_id} has no artifacts")
        return row, self.blobs.open(row.key)

    def latest_job_with_archive(self, project_id: int, ref: str, name: str) -> int:
        """The job of that name in the newest successful pipeline of `ref`. Raises NOT_FOUND."""
        with self.database.read() as session:
            query = (
                select(JobRow.id)
                .join(store.PipelineRow, store.PipelineRow.id == JobRow.pipeline_id)
                .join(ArtifactRow, ArtifactRow.job_id == JobRow.id)
                .where(
                    store.PipelineRow.project_id == project_id,
                    store.PipelineRow.ref == ref,
                    store.PipelineRow.status == Status.SUCCESS,
                    JobRow.name == name,
                    JobRow.retried.is_(False),
                    ArtifactRow.kind == "archive",
                )
                .order_by(JobRow.id.desc())
                .limit(1)
            )
            found = session.scalar(query)
        if found is None:
            raise not_found(f"no successful pipeline of {ref} has artifacts of a job `{name}`")
        return found

    # -- control

    def cancel_pipeline(self, pipeline_id: int) -> None:
        with self.database.write() as session:
            control.cancel_pipeline(session, pipeline_id, clock=self.clock)
        self.notify()

    def retry_pipeline(self, pipeline_id: int, *, user_id: int | None) -> None:
        with self.database.write() as session:
            control.retry_pipeline(session, pipeline_id, user_id=user_id, clock=self.clock)
        self.notify()

    def delete_pipeline(self, pipeline_id: int) -> None:
        """Raises CONFLICT while jobs run."""
        with self.database.write() as session:
            jobs, keys = control.delete_pipeline(session, pipeline_id)
        for key in keys:
            self.blobs.delete(key)
        for job_id in jobs:
            self.traces.delete(job_id)

    def forget_project(self, project_id: int) -> None:
        """Ends the jobs of a deleted project and forgets its pipelines, caches and secrets; a pipeline whose jobs still
        run stays, canceled."""
        with self.database.write() as session:
            project_variables.forget(session, "project", project_id)
        for key in self.blobs.idle(f"{CACHES}/{project_id}", since=datetime.max.replace(tzinfo=UTC)):
            self.blobs.delete(key)
        with self.database.read() as session:
            found = session.scalars(select(PipelineRow.id).where(PipelineRow.project_id == project_id)).all()
        for pipeline_id in found:
            self.cancel_pipeline(pipeline_id)
            with faults_ignored(Kind.CONFLICT):
                self.delete_pipeline(pipeline_id)

    def cancel_job(self, job_id: int) -> None:
        with self.database.write() as session:
            control.cancel_job(session, job_id, clock=self.clock)
        self.notify()

    def retry_job(self, job_id: int, *, user_id: int | None) -> show.JobView:
        """The new attempt. Raises CONFLICT."""
        with self.database.write() as session:
            new = control.retry_job(session, job_id, user_id=user_id, clock=self.clock).id
        self.notify()
        return self.job(new)

    def play(self, job_id: int, *, user_id: int | None, variables: Sequence[dict[str, str]] = ()) -> show.JobView:
        """Raises CONFLICT for a job that does not wait to be played."""
        with self.database.write() as session:
            control.play(session, job_id, user_id=user_id, variables=variables, clock=self.clock)
        self.notify()
        return self.job(job_id)

    def erase(self, job_id: int) -> show.JobView:
        """Removes a finished job's log, artifacts and test results. Raises CONFLICT."""
        with self.database.write() as session:
            keys = control.erase(session, job_id, clock=self.clock)
        for key in keys:
            self.blobs.delete(key)
        self.traces.delete(job_id)
        return self.job(job_id)

    def delete_archive(self, job_id: int) -> None:
        with self.database.write() as session:
            rows = store.artifacts_of(session, [job_id])
            keys = [row.key for row in rows]
            for row in rows:
                session.delete(row)
        for key in keys:
            self.blobs.delete(key)

    def keep_archive(self, job_id: int) -> show.JobView:
        """The artifacts are to stay for ever."""
        with self.database.write() as session:
            for row in store.artifacts_of(session, [job_id]):
                row.expire_at = None
        return self.job(job_id)
