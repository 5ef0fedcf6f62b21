"""The end of a job, in one transaction: its result, what it left, whether it is tried again, what may go next."""

from __future__ import annotations

from sqlalchemy.orm import Session

from riad.pipelines import codec, store
from riad.pipelines.advance import advance, set_status
from riad.pipelines.control import clone
from riad.pipelines.language.plan import JobPlan
from riad.pipelines.runner.coverage import coverage_of
from riad.pipelines.runner.harvest import Harvest
from riad.pipelines.runner.outcome import Outcome
from riad.pipelines.runner.parts import Parts, Phase
from riad.pipelines.status import Status
from riad.pipelines.store import DotenvRow, JobRow, TestCaseRow


def finish(parts: Parts, job_id: int, outcome: Outcome, harvest: Harvest) -> None:
    """Blocking. Nothing where the job has been finished already."""
    coverage = None
    with parts.database.read() as session:
        plan = codec.from_json(store.job(session, job_id).plan)
    if plan.coverage is not None:
        coverage = coverage_of(parts.traces.read(job_id).data.decode(errors="replace"), plan.coverage)
    with parts.database.write() as session:
        row = store.job(session, job_id)
        if Status(row.status) not in (Status.RUNNING, Status.CANCELING):
            return
        _take(session, row, plan, outcome, harvest)
        row.coverage = coverage
        canceled = Status(row.status) is Status.CANCELING
        set_status(session, row, Status.CANCELED if canceled else outcome.status, clock=parts.clock)
        row.phase = Phase.CLEANING
        if not canceled and _again(row, plan, outcome):
            new = clone(session, row, user_id=None, clock=parts.clock)
            new.played = True
            set_status(session, new, Status.PENDING, clock=parts.clock)
        advance(session, row.pipeline_id, clock=parts.clock)


def _take(session: Session, row: JobRow, plan: JobPlan, outcome: Outcome, harvest: Harvest) -> None:
    row.exit_code, row.failure_reason, row.failure_message = outcome.exit_code, outcome.reason, outcome.message
    if outcome.exit_code is not None and outcome.exit_code in plan.allow_failure.exit_codes:
        row.allow_failure = True
    if harvest.environment_url is not None:
        row.environment_url = harvest.environment_url
    session.add_all(harvest.artifacts)
    session.add_all(DotenvRow(job_id=row.id, key=key, value=value) for key, value in harvest.dotenv)
    session.add_all(
        TestCaseRow(
            job_id=row.id,
            suite=case.suite,
            classname=case.classname,
            name=case.name,
            file=case.file,
            status=case.status,
            seconds=case.seconds,
            output=case.output,
        )
        for case in harvest.cases
    )


def _again(row: JobRow, plan: JobPlan, outcome: Outcome) -> bool:
    """Whether `retry` gives it another go; what was lost with the engine gets one in any case."""
    if outcome.status is not Status.FAILED:
        return False
    if outcome.lost and row.attempt == 0:
        return True
    retry = plan.retry
    by_reason = not retry.exit_codes and ("always" in retry.when or outcome.reason in retry.when)
    named = "always" not in retry.when and outcome.reason in retry.when
    return row.attempt < retry.max and (by_reason or named or outcome.exit_code in retry.exit_codes)
