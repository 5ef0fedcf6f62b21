"""What one job says about another: needs, dependencies, on_stop, and the stages jobs without `stage` fall into."""

from __future__ import annotations

from riad.pipelines.language.findings import Findings
from riad.pipelines.language.model import Config, JobConfig, Need


def check_jobs(config: Config, findings: Findings) -> None:
    jobs = {job.name: job for job in config.jobs}
    order = {stage: number for number, stage in enumerate(config.stages)}
    for job in config.jobs:
        if job.stage == ".pre" and "test" not in order:
            _check_default_stage(job, config, findings)
        _check_needs(job, jobs, order, findings)
        _check_dependencies(job, jobs, order, findings)
        _check_on_stop(job, jobs, findings)
    if not findings:
        _check_circles(jobs, findings)


def _check_default_stage(job: JobConfig, config: Config, findings: Findings) -> None:
    """A job without `stage` is in `test`, which a file with its own `stages` may lack."""
    if job.stage_missing:
        shown = ", ".join(config.stages[1:-1])
        findings.add(job.name, job.line, f"has no `stage`, and there is no stage `test`; the stages are {shown}")


def _all_needs(job: JobConfig) -> list[Need]:
    listed = list(job.needs or ())
    for rule in job.rules or ():
        listed.extend(rule.needs or ())
    return listed


def _check_needs(job: JobConfig, jobs: dict[str, JobConfig], order: dict[str, int], findings: Findings) -> None:
    for need in _all_needs(job):
        target = jobs.get(need.job)
        if target is None:
            if not need.optional:
                findings.add(f"{job.name}/needs", job.line, f"there is no job `{need.job}`")
        elif order[target.stage] > order[job.stage]:
            findings.add(f"{job.name}/needs", job.line, f"`{need.job}` is in the later stage `{target.stage}`")


def _check_dependencies(job: JobConfig, jobs: dict[str, JobConfig], order: dict[str, int], findings: Findings) -> None:
    for name in job.dependencies or ():
        target = jobs.get(name)
        if target is None:
            findings.add(f"{job.name}/dependencies", job.line, f"there is no job `{name}`")
        elif job.needs is not None and name not in {need.job for need in job.needs}:
            findings.add(f"{job.name}/dependencies", job.line, f"`{name}` must also be in `needs`")
        elif job.needs is None and order[target.stage] >= order[job.stage]:
            findings.add(f"{job.name}/dependencies", job.line, f"`{name}` is not in an earlier stage")


def _check_on_stop(job: JobConfig, jobs: dict[str, JobConfig], findings: Findings) -> None:
    if job.environment is None or job.environment.on_stop is None:
        return
    target = jobs.get(job.environment.on_stop)
    path = f"{job.name}/environment/on_stop"
    if target is None:
        findings.add(path, job.line, f"there is no job `{job.environment.on_stop}`")
    elif target.environment is None or target.environment.action != "stop":
        findings.add(path, job.line, f"`{target.name}` must have the environment's name and `action: stop`")


def _check_circles(jobs: dict[str, JobConfig], findings: Findings) -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            job = jobs[name]
            findings.add(f"{name}/needs", job.line, f"circle: {' → '.join((*path[path.index(name) :], name))}")
            return
        if name in done or name not in jobs:
            return
        for need in _all_needs(jobs[name]):
            visit(need.job, (*path, name))
        done.add(name)

    for name in jobs:
        visit(name, ())
