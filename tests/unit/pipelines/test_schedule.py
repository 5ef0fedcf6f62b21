from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.kernel.faults import Fault, Kind
from riad.pipelines.language.model import When
from riad.pipelines.schedule import JobState, schedule
from riad.pipelines.status import COMPLETED, Status, check

ENDS = (Status.SUCCESS, Status.FAILED, Status.CANCELED)


@st.composite
def pipelines(draw: st.DrawFn) -> list[JobState]:
    count = draw(st.integers(1, 9))
    stages = sorted(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    jobs = []
    for number, stage in enumerate(stages):
        earlier = [f"j{n}" for n in range(number)]
        needs = draw(st.none() | st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else None
        jobs.append(
            JobState(
                id=number,
                name=f"j{number}",
                stage_index=stage,
                status=Status.CREATED,
                when=draw(st.sampled_from([w for w in When if w is not When.NEVER])),
                allow_failure=draw(st.booleans()),
                needs=None if needs is None else tuple(needs),
            )
        )
    return jobs


def apply(jobs: list[JobState]) -> tuple[list[JobState], Status]:
    decisions, status = schedule(jobs)
    decided = {decision.job_id: decision.status for decision in decisions}
    return [replace(job, status=decided.get(job.id, job.status)) for job in jobs], status


@given(pipelines(), st.data())
def test_every_pipeline_ends_whatever_its_jobs_do_and_no_job_starts_before_its_needs(jobs, data):
    jobs, status = apply(jobs)
    for _ in range(3 * len(jobs)):
        ready = [j for j in jobs if j.status in (Status.PENDING, Status.MANUAL, Status.SCHEDULED)]
        if not ready:
            break
        chosen = data.draw(st.sampled_from(ready))
        known = {job.name: job for job in jobs}
        for need in chosen.needs or ():
            assert known[need].status in COMPLETED, f"{chosen.name} may start before {need}"
        if chosen.needs is None and chosen.status is Status.PENDING:
            before = [job for job in jobs if job.stage_index < chosen.stage_index]
            assert all(job.status in COMPLETED or job.allow_failure for job in before)
        ending = data.draw(st.sampled_from(ENDS))
        jobs, status = apply([replace(j, status=ending) if j.id == chosen.id else j for j in jobs])
    assert status in COMPLETED
    assert all(job.status in COMPLETED for job in jobs)


@given(pipelines())
def test_scheduling_twice_decides_nothing_new(jobs):
    once, status = apply(jobs)
    assert schedule(once) == ([], status)


@given(st.sampled_from(Status), st.sampled_from(Status))
def test_a_finished_job_never_comes_back_to_life(current, wanted):
    if current in (Status.SUCCESS, Status.FAILED, Status.CANCELED):
        with pytest.raises(Fault) as fault:
            check(current, wanted, "job 1")
        assert fault.value.kind is Kind.CONFLICT
