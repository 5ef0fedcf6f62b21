"""Which job may go next, and what a pipeline's state is. Pure: states in, decisions out.

The rules, as GitLab keeps them:
- A job without `needs` looks at all jobs of earlier stages together, one with `needs` only at those it names. It is
  decided once those are complete: `on_success` wants success (of stages also "skipped"), `on_failure` a failure,
  `always` anything; otherwise the job is skipped.
- A failure that is allowed, and a manual job that may be left out, count as success for later stages. With `needs` an
  un-played manual job blocks: the job stays created. A needed job that was skipped makes its followers skip.
- A manual job that may not be left out blocks the stages after it; the pipeline is `manual` then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from riad.pipelines.language.model import When
from riad.pipelines.status import Status

WARNED = "success with warnings"
IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class JobState:
    """`needs` None: stage order counts. Names are unique among the jobs looked at (only the latest of retries)."""

    id: int
    name: str
    stage_index: int
    status: Status
    when: When = When.ON_SUCCESS
    allow_failure: bool = False
    needs: tuple[str, ...] | None = None
    played: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    job_id: int
    status: Status


def schedule(jobs: Sequence[JobState]) -> tuple[list[Decision], Status]:
    """What every undecided job becomes now, to the end (a skip may decide the next), and the pipeline's state."""
    current = {job.name: job for job in jobs}
    decisions: dict[int, Decision] = {}
    changed = True
    while changed:
        changed = False
        for job in sorted(current.values(), key=lambda j: (j.stage_index, j.id)):
            if job.status is Status.CREATED and (wanted := _decide(job, current)) is not None:
                current[job.name] = replace(job, status=wanted)
                decisions[job.id] = Decision(job.id, wanted)
                changed = True
    return list(decisions.values()), pipeline_status(current.values())


def _decide(job: JobState, jobs: Mapping[str, JobState]) -> Status | None:
    if job.needs is None:
        before = _by_stages(job, jobs)
        good = {Status.SUCCESS, Status.SKIPPED}
    else:
        before = _by_needs([jobs[name] for name in job.needs if name in jobs], patient=job.when is When.ALWAYS)
        good = {Status.SUCCESS}
    if before is None:
        return None
    match job.when:
        case When.ON_FAILURE:
            passes = before is Status.FAILED
        case When.ALWAYS:
            passes = True
        case _:
            passes = before in good
    return _start(job) if passes else Status.SKIPPED


def _start(job: JobState) -> Status:
    if job.played:
        return Status.PENDING
    if job.when is When.MANUAL:
        return Status.MANUAL
    return Status.SCHEDULED if job.when is When.DELAYED else Status.PENDING


def _by_stages(job: JobState, jobs: Mapping[str, JobState]) -> Status | None:
    """The state of all earlier stages together, None while it is not settled."""
    earlier = [other for other in jobs.values() if other.stage_index < job.stage_index]
    if not earlier:
        return Status.SUCCESS
    together = pipeline_status(earlier)
    return together if together in _SETTLED else None


def _by_needs(needed: Sequence[JobState], *, patient: bool) -> Status | None:
    """The state of the needed jobs together, None while it is not settled.

    One that is skipped settles it at once; but who runs in any case (`patient`) waits for the others all the same.
    """
    if not needed:
        return Status.SUCCESS
    words = {_word(job) for job in needed}
    if Status.SKIPPED in words and not patient:
        return Status.SKIPPED
    if not words <= {*_SETTLED, WARNED}:
        return None
    return Status.SKIPPED if Status.SKIPPED in words else pipeline_status(needed)


_SETTLED = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELED, Status.SKIPPED})


def _word(job: JobState) -> str:
    if job.allow_failure and job.status in (Status.FAILED, Status.CANCELED):
        return WARNED
    if job.allow_failure and job.status is Status.MANUAL:
        return IGNORED
    return job.status


def pipeline_status(jobs: Iterable[JobState]) -> Status:
    """The state of several jobs together, first match counts."""
    words = {_word(job) for job in jobs}
    calm = {WARNED, IGNORED}

    def only(*allowed: Status) -> bool:
        return words <= {*allowed, *calm}

    if not words or words <= {Status.SKIPPED, IGNORED}:
        return Status.SKIPPED
    if only(Status.SUCCESS, Status.SKIPPED):
        return Status.SUCCESS
    if only(Status.CREATED):
        return Status.CREATED
    if Status.CANCELING in words:
        return Status.CANCELING
    if only(Status.CANCELED, Status.SUCCESS, Status.SKIPPED):
        return Status.CANCELED
    if only(Status.PENDING, Status.CREATED, Status.SKIPPED):
        return Status.PENDING
    return _mixed(words)


def _mixed(words: Collection[str]) -> Status:
    if Status.RUNNING in words or Status.PENDING in words:
        return Status.RUNNING
    for status in (Status.MANUAL, Status.SCHEDULED):
        if status in words:
            return status
    return Status.RUNNING if Status.CREATED in words else Status.FAILED


def has_warnings(jobs: Iterable[JobState]) -> bool:
    """Whether a failure was allowed, which a successful pipeline should still show."""
    return any(_word(job) == WARNED for job in jobs)
