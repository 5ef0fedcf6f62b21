"""A push (or a click, or a call) becomes a pipeline.

Reading the repository and compiling happen before the write transaction. A broken file makes a failed pipeline whose
`yaml_errors` tell every finding; no file, or rules that leave everything out, make none; `[ci skip]` a skipped one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind, invalid
from riad.pipelines import codec, predefined, project_variables, push_options
from riad.pipelines.advance import advance
from riad.pipelines.control import cancel_redundant
from riad.pipelines.language.compile import compile_config
from riad.pipelines.language.context import Context
from riad.pipelines.language.lint import lint
from riad.pipelines.language.plan import Nothing, PipelinePlan
from riad.pipelines.ports import CommitFacts, ProjectFacts, Projects, Server, Source, Users
from riad.pipelines.predefined import PipelineFacts
from riad.pipelines.status import Status
from riad.pipelines.store import JobRow, PipelineRow, next_iid

ZERO = "0" * 40
_SKIP = re.compile(r"\[(?:ci[ _-]skip|skip[ _-]ci)\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts a pipeline. `source` in GitLab's words; `before_sha` 40 zeros where there is none; `variables` are
    `{key, value, variable_type}`; `origin` makes creating it again harmless; `options` are git's push options.
    """

    project_id: int
    ref: str
    sha: str
    is_tag: bool = False
    before_sha: str = ZERO
    source: str = "push"
    user_id: int | None = None
    variables: Sequence[dict[str, str]] = ()
    origin: str | None = None
    options: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Creation:
    """What creating needs."""

    database: Database
    clock: Clock
    source: Source
    projects: Projects
    users: Users
    server: Server


def create(parts: Creation, trigger: Trigger) -> int | None:
    """The new pipeline's id, or None where there is to be none.

    Raises INVALID with the reason where someone asked for it by name (any source but push) and there is to be none.
    """
    project = parts.projects.get(trigger.project_id)
    commit = parts.source.commit(project.id, trigger.sha)
    made = _decide(parts, trigger, project, commit)
    if isinstance(made, Nothing):
        if trigger.source != "push":
            raise invalid(f"no pipeline was created: {made.reason}")
        return None
    with parts.database.write() as session:
        return _store(session, trigger, made, clock=parts.clock)


def _decide(
    parts: Creation, trigger: Trigger, project: ProjectFacts, commit: CommitFacts
) -> PipelinePlan | Nothing | Fault | Status:
    content = parts.source.read_file(project.id, trigger.sha, predefined.CONFIG_PATH)
    if content is None:
        return Nothing(f"there is no {predefined.CONFIG_PATH} at {commit.short_sha}")
    if trigger.source == "push" and (_SKIP.search(commit.message) or push_options.skips(trigger.options)):
        return Status.SKIPPED
    try:
        config = lint(content, CommitFiles(parts.source, project.id, trigger.sha))
        return compile_config(config, context_of(parts, trigger, project, commit))
    except Fault as fault:
        if fault.kind not in (Kind.INVALID, Kind.UNSUPPORTED):
            raise
        return fault


@dataclass(frozen=True, slots=True)
class CommitFiles:
    """The `Files` of one commit."""

    source: Source
    project_id: int
    sha: str

    def read(self, path: str) -> bytes | None:
        return self.source.read_file(self.project_id, self.sha, path)

    def paths(self) -> Sequence[str]:
        return self.source.list_paths(self.project_id, self.sha)


def context_of(parts: Creation, trigger: Trigger, project: ProjectFacts, commit: CommitFacts) -> Context:
    facts = PipelineFacts(trigger.ref, trigger.is_tag, trigger.sha, trigger.before_sha, trigger.source)
    user = parts.users.get(trigger.user_id) if trigger.user_id is not None else None
    protected = predefined.is_protected(trigger.ref, project)
    with parts.database.read() as session:
        kept = project_variables.for_job(
            session, project_id=project.id, group_id=project.group_id, protected=protected, environment=None
        )
    outer = {variable.key: variable.value for variable in kept}
    outer.update((variable["key"], variable["value"]) for variable in _given(trigger))
    return Context(
        source=trigger.source,
        ref=trigger.ref,
        is_tag=trigger.is_tag,
        predefined=predefined.of_pipeline(facts, project=project, commit=commit, user=user, server=parts.server),
        outer=outer,
        changed_paths=lambda compare_to: _changed(parts.source, trigger, compare_to),
        paths=CommitFiles(parts.source, project.id, trigger.sha).paths,
    )


def _changed(source: Source, trigger: Trigger, compare_to: str | None) -> Sequence[str] | None:
    """What the push changed; None for a new branch, a tag and whatever is no push: `changes` holds then."""
    before: str | None = trigger.before_sha
    if compare_to is not None:
        resolved = source.resolve(trigger.project_id, compare_to)
        if resolved is None:
            raise invalid(f"rules/changes/compare_to: there is no branch or tag `{compare_to}`")
        before = resolved.sha
    elif trigger.source != "push" or trigger.is_tag or before == ZERO:
        return None
    try:
        return source.changed_paths(trigger.project_id, before or ZERO, trigger.sha)
    except Fault as fault:
        if fault.kind is not Kind.NOT_FOUND:
            raise
        return None  # the commit before a forced push may be gone


def _given(trigger: Trigger) -> list[dict[str, str]]:
    """The trigger's variables, and those of `git push -o ci.variable=KEY=VALUE`."""
    given = [{"variable_type": "env_var", **variable} for variable in trigger.variables]
    pushed = push_options.variables(trigger.options)
    return given + [{"key": key, "value": value, "variable_type": "env_var"} for key, value in pushed.items()]


def _store(session: Session, trigger: Trigger, made: PipelinePlan | Fault | Status, *, clock: Clock) -> int:
    if trigger.origin is not None:
        known = session.scalar(select(PipelineRow.id).where(PipelineRow.origin == trigger.origin))
        if known is not None:
            return known
    row = _pipeline_row(session, trigger, clock=clock)
    session.add(row)
    match made:
        case PipelinePlan():
            row.stages, row.name = list(made.stages), made.name
            session.flush()
            _add_jobs(session, row, made, clock=clock)
            advance(session, row.id, clock=clock)
            if trigger.source == "push" and not trigger.is_tag:
                cancel_redundant(session, row, clock=clock)
        case Fault():
            row.status, row.yaml_errors, row.finished_at = Status.FAILED, made.message, clock.now()
        case Status():
            row.status, row.finished_at = made, clock.now()
    session.flush()
    return row.id


def _pipeline_row(session: Session, trigger: Trigger, *, clock: Clock) -> PipelineRow:
    now = clock.now()
    return PipelineRow(
        iid=next_iid(session, trigger.project_id),
        project_id=trigger.project_id,
        ref=trigger.ref,
        is_tag=trigger.is_tag,
        sha=trigger.sha,
        before_sha=trigger.before_sha,
        source=trigger.source,
        origin=trigger.origin,
        status=Status.CREATED,
        user_id=trigger.user_id,
        variables=_given(trigger),
        stages=[],
        created_at=now,
        updated_at=now,
    )


def _add_jobs(session: Session, row: PipelineRow, plan: PipelinePlan, *, clock: Clock) -> None:
    for job in plan.jobs:
        session.add(
            JobRow(
                pipeline_id=row.id,
                project_id=row.project_id,
                name=job.name,
                stage=job.stage,
                stage_index=job.stage_index,
                status=Status.CREATED,
                when=job.when,
                allow_failure=job.allow_failure.allowed,
                needs=None if job.needs is None else [need.job for need in job.needs],
                plan=codec.to_json(job),
                user_id=row.user_id,
                environment=job.environment.name if job.environment else None,
                environment_url=job.environment.url if job.environment else None,
                environment_action=job.environment.action if job.environment else None,
                created_at=clock.now(),
            )
        )
    session.flush()
