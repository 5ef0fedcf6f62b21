"""The language by its case files: `tests/cases/gitlab-ci/*.case`. See that folder's README for the form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from riad.kernel.faults import Fault
from riad.pipelines.language.compile import compile_config
from riad.pipelines.language.context import Context
from riad.pipelines.language.lint import lint
from riad.pipelines.language.plan import JobPlan, Nothing, PipelinePlan
from riad.pipelines.language.variables import expand_all
from riad.pipelines.schedule import JobState, schedule
from riad.pipelines.status import Status

CASES = Path(__file__).parents[2] / "cases" / "gitlab-ci"


@dataclass
class Case:
    rule: str
    yaml: str = ""
    files: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[str, str, str]] = field(default_factory=list)
    """(kind, arguments, body)"""


def read_cases() -> list[Case]:
    cases = []
    for path in sorted(CASES.glob("*.case")):
        for text in re.split(r"^=== ", path.read_text(), flags=re.MULTILINE)[1:]:
            rule, _, body = text.partition("\n")
            cases.append(parse_case(f"{path.stem}: {rule.strip()}", body))
    return cases


def parse_case(rule: str, text: str) -> Case:
    case = Case(rule)
    head, *sections = re.split(r"^--- ", text, flags=re.MULTILINE)
    case.yaml = head
    for section in sections:
        title, _, body = section.partition("\n")
        kind, _, arguments = title.strip().partition(" ")
        if kind == "file":
            case.files[arguments] = body
        else:
            case.steps.append((kind, arguments, body))
    return case


class Files:
    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def read(self, path: str) -> bytes | None:
        return self._files[path].encode() if path in self._files else None

    def paths(self) -> list[str]:
        return sorted(self._files)


def context(arguments: str, files: dict[str, str]) -> Context:
    """`push main`, `push v1 tag`, `web main`; then `changed=a,b`, `KEY=value` (a project variable)."""
    words = arguments.split()
    source, ref, rest = words[0], words[1], words[2:]
    outer = dict(word.split("=", 1) for word in rest if "=" in word and not word.startswith("changed="))
    changed = next((w.removeprefix("changed=").split(",") for w in rest if w.startswith("changed=")), None)
    is_tag = "tag" in rest
    return Context(
        source=source,
        ref=ref,
        is_tag=is_tag,
        predefined={
            "CI": "true",
            "CI_PIPELINE_SOURCE": source,
            "CI_COMMIT_REF_NAME": ref,
            "CI_COMMIT_REF_SLUG": ref.replace("/", "-"),
            **({"CI_COMMIT_TAG": ref} if is_tag else {"CI_COMMIT_BRANCH": ref}),
        },
        outer=outer,
        changed_paths=lambda _compare_to: changed,
        paths=lambda: sorted(files),
    )


def facts(job: JobPlan) -> dict[str, str]:
    """What a case may say about a job."""
    return {
        "stage": job.stage,
        "when": str(job.when),
        "allow_failure": str(job.allow_failure.allowed).lower(),
        "exit_codes": ",".join(map(str, job.allow_failure.exit_codes)),
        "needs": "-" if job.needs is None else ",".join(need.job for need in job.needs) or "none",
        "script": "; ".join(job.script),
        "after": "; ".join(job.after_script),
        "image": job.image.name if job.image else "",
        "environment": job.environment.name if job.environment else "",
        "timeout": str(job.timeout),
        "start_in": str(job.start_in),
        "retry": str(job.retry.max),
        "expire_in": str(job.artifacts.expire_in) if job.artifacts else "",
        "paths": ",".join(job.artifacts.paths) if job.artifacts else "",
        "services": ",".join(service.name for service in job.services),
        **{f"${key}": value for key, value in expand_all(job.variables).items()},
    }


@pytest.mark.parametrize("case", [pytest.param(case, id=case.rule) for case in read_cases()])
def test_the_language_keeps_its_rules(case: Case) -> None:
    plan: PipelinePlan | Nothing | Fault | None = None
    states: list[JobState] = []
    assert case.steps, "a case without expectations proves nothing"
    for kind, arguments, body in case.steps:
        lines = [line for line in body.splitlines() if line.strip() and not line.startswith("#")]
        if kind == "on":
            plan = attempt(case, arguments)
            states = initial(plan) if isinstance(plan, PipelinePlan) else []
        elif kind == "errors":
            found = attempt(case, "push main") if plan is None else plan
            assert isinstance(found, Fault), found
            assert [str(finding) for finding in found.findings] == lines
        elif kind == "jobs":
            assert isinstance(plan, PipelinePlan), plan
            check_jobs(plan, lines)
        elif kind == "nothing":
            assert isinstance(plan, Nothing), plan
        elif kind == "after":
            states = moved(states, arguments)
            check_states(states, lines)
        else:
            raise AssertionError(f"unknown section {kind}")


def attempt(case: Case, arguments: str) -> PipelinePlan | Nothing | Fault:
    try:
        return compile_config(lint(case.yaml, Files(case.files)), context(arguments, case.files))
    except Fault as fault:
        return fault


def check_jobs(plan: PipelinePlan, lines: list[str]) -> None:
    jobs = {job.name: facts(job) for job in plan.jobs}
    wanted = [re.split(r" \| ", line) for line in lines]
    assert list(jobs) == [name.strip() for name, *_ in wanted]
    for name, *claims in wanted:
        for claim in claims:
            key, _, value = claim.strip().partition("=")
            assert jobs[name.strip()].get(key) == value, f"{name} {key}"


def initial(plan: PipelinePlan) -> list[JobState]:
    return [
        JobState(
            id=number,
            name=job.name,
            stage_index=job.stage_index,
            status=Status.CREATED,
            when=job.when,
            allow_failure=job.allow_failure.allowed,
            needs=None if job.needs is None else tuple(need.job for need in job.needs),
        )
        for number, job in enumerate(plan.jobs)
    ]


def moved(states: list[JobState], arguments: str) -> list[JobState]:
    """The schedule applied, then the named jobs moved on, then the schedule applied again."""
    states = scheduled(states)
    for word in arguments.split():
        name, _, status = word.partition("=")
        assert any(state.name == name for state in states), name
        states = [replace(s, status=Status(status)) if s.name == name else s for s in states]
    return scheduled(states)


def scheduled(states: list[JobState]) -> list[JobState]:
    decided = {decision.job_id: decision.status for decision in schedule(states)[0]}
    return [replace(state, status=decided.get(state.id, state.status)) for state in states]


def check_states(states: list[JobState], lines: list[str]) -> None:
    known = {state.name: str(state.status) for state in states}
    known["PIPELINE"] = str(schedule(states)[1])
    for line in lines:
        name, _, status = line.strip().partition(" ")
        assert known[name] == status.strip(), name
