"""Everything one job needs to run, gathered before it starts: plan, variables by precedence, secrets, artifacts.

Precedence, low to high (doc/ci/variables): predefined, the file's (global, then the job's), dotenv reports of jobs
before, group, project, those given with the pipeline, those given when a manual job was played.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.pipelines import codec, predefined, project_variables
from riad.pipelines.language.model import Service, Variable
from riad.pipelines.language.plan import JobPlan
from riad.pipelines.language.variables import expand, expand_all
from riad.pipelines.ports import CommitFacts, ProjectFacts, Projects, Server, Source, UserFacts, Users
from riad.pipelines.predefined import PipelineFacts
from riad.pipelines.status import Status
from riad.pipelines.store import ArtifactRow, DotenvRow, JobRow, PipelineRow, jobs_of

TOKEN_NAMES = ("CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD")


@dataclass(frozen=True, slots=True)
class Restore:
    """Another job's artifacts, to be unpacked before this one runs."""

    job_id: int
    job: str
    key: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a job's variables are, but for what is only known once it runs (its token)."""

    values: Mapping[str, str]
    files: Mapping[str, str]
    secrets: frozenset[str]

    def expand(self, text: str) -> str:
        return expand(text, self.values)


@dataclass(frozen=True, slots=True)
class Assignment:
    job_id: int
    pipeline_id: int
    user_id: int | None
    plan: JobPlan
    box: str
    phase: str
    status: Status
    started_at: datetime
    deadline: datetime
    first_start: str | None
    trace_offset: int
    log_offset: int
    outcome: Mapping[str, object] | None
    timeout: int
    project: ProjectFacts
    pipeline: PipelineFacts
    commit: CommitFacts
    user: UserFacts | None
    below: tuple[Variable, ...]
    above: tuple[Variable, ...]
    masked: frozenset[str]
    file_keys: frozenset[str]
    restores: tuple[Restore, ...]

    @property
    def folder(self) -> str:
        return predefined.project_dir(self.project)

    def surroundings(self, server: Server, token: str) -> Surroundings:
        """All variables, expanded. File variables become files beside the project's folder, and their values paths."""
        known = predefined.of_pipeline(
            self.pipeline, project=self.project, commit=self.commit, user=self.user, server=server
        ) | predefined.of_job(
            self.plan,
            job_id=self.job_id,
            started_at=self.started_at,
            timeout=self.timeout,
            project=self.project,
            server=server,
            token=token,
        )
        contents: dict[str, str] = {}
        above = [self._as_file(variable, contents) for variable in self.above]
        first = [Variable(key, value, raw=True) for key, value in known.items()]
        values = expand_all([*first, *self.below, *above])
        if self.plan.environment is not None and self.plan.environment.url is not None:
            values["CI_ENVIRONMENT_URL"] = expand(self.plan.environment.url, values)
        secrets = {values[name] for name in self.masked if values.get(name)} | {token}
        secrets |= {contents[path] for path in contents if path.rpartition("/")[2] in self.masked}
        return Surroundings(values, contents, frozenset(secrets))

    def _as_file(self, variable: Variable, contents: dict[str, str]) -> Variable:
        if variable.key not in self.file_keys:
            return variable
        path = f"{self.folder}.tmp/{variable.key}"
        contents[path] = variable.value
        return Variable(variable.key, path, raw=True)

    def services(self, surroundings: Surroundings) -> tuple[Service, ...]:
        """With variables expanded, as the runner does in names, aliases and their own variables."""
        return tuple(
            Service(
                name=surroundings.expand(service.name),
                aliases=service.aliases,
                entrypoint=service.entrypoint,
                command=tuple(map(surroundings.expand, service.command)),
                variables=tuple(
                    v if v.raw else Variable(v.key, surroundings.expand(v.value)) for v in service.variables
                ),
                pull_policy=service.pull_policy,
            )
            for service in self.plan.services
        )


def gather(
    session: Session, row: JobRow, *, projects: Projects, users: Users, source: Source, default_timeout: int
) -> Assignment:
    """For a job that has been claimed. Raises NOT_FOUND where its project or commit is gone."""
    plan = codec.from_json(row.plan)
    pipeline = session.get_one(PipelineRow, row.pipeline_id)
    project = projects.get(row.project_id)
    kept = project_variables.for_job(
        session,
        project_id=project.id,
        group_id=project.group_id,
        protected=predefined.is_protected(pipeline.ref, project),
        environment=row.environment,
    )
    given = [*pipeline.variables, *row.variables]
    before = {job.name: job for job in jobs_of(session, pipeline.id) if job.id != row.id}
    feeding = _feeding(plan, before)
    return Assignment(
        job_id=row.id,
        pipeline_id=pipeline.id,
        user_id=row.user_id,
        plan=plan,
        box=row.container or "",
        phase=row.phase or "",
        status=Status(row.status),
        started_at=row.started_at or row.created_at,
        deadline=row.deadline or row.created_at,
        first_start=row.first_start,
        trace_offset=row.trace_offset,
        log_offset=row.log_offset,
        outcome=row.outcome,
        timeout=plan.timeout or default_timeout,
        project=project,
        pipeline=PipelineFacts(
            ref=pipeline.ref,
            is_tag=pipeline.is_tag,
            sha=pipeline.sha,
            before_sha=pipeline.before_sha,
            source=pipeline.source,
            id=pipeline.id,
            iid=pipeline.iid,
            name=pipeline.name,
            created_at=pipeline.created_at,
        ),
        commit=source.commit(project.id, pipeline.sha),
        user=users.get(row.user_id) if row.user_id is not None else None,
        below=(*plan.variables, *_dotenv(session, feeding)),
        above=(
            *(Variable(v.key, v.value, v.raw) for v in kept),
            *(Variable(v["key"], v["value"]) for v in given),
        ),
        masked=frozenset({v.key for v in kept if v.masked}) | set(TOKEN_NAMES),
        file_keys=frozenset(
            {v.key for v in kept if v.variable_type == "file"}
            | {v["key"] for v in given if v.get("variable_type") == "file"}
        ),
        restores=_restores(session, feeding),
    )


def _feeding(plan: JobPlan, before: Mapping[str, JobRow]) -> list[JobRow]:
    """The jobs whose artifacts this one gets: those it needs, else all of earlier stages; `dependencies` narrows."""
    if plan.needs is not None:
        names: Iterable[str] = [need.job for need in plan.needs if need.artifacts]
    else:
        names = [name for name, job in before.items() if job.stage_index < plan.stage_index]
    if plan.dependencies is not None:
        wanted = set(plan.dependencies)
        names = [name for name in names if name in wanted or name.rpartition(" ")[0] in wanted]
    return [before[name] for name in names if name in before]


def _restores(session: Session, jobs: list[JobRow]) -> tuple[Restore, ...]:
    names = {job.id: job.name for job in jobs}
    query = select(ArtifactRow).where(ArtifactRow.job_id.in_(names), ArtifactRow.kind == "archive")
    return tuple(Restore(a.job_id, names[a.job_id], a.key) for a in session.scalars(query.order_by(ArtifactRow.job_id)))


def _dotenv(session: Session, jobs: list[JobRow]) -> list[Variable]:
    query = select(DotenvRow).where(DotenvRow.job_id.in_([job.id for job in jobs])).order_by(DotenvRow.id)
    return [Variable(row.key, row.value, raw=True) for row in session.scalars(query)]
