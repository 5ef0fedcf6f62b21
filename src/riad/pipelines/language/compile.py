"""Config + context → the plan of one pipeline, or nothing. Pure.

Precedence of what rules see, low to high: predefined, global (`workflow:rules:variables` over them), the job's, then
those of group, project and pipeline. `rules:variables` join the job's own once their rule has held.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from riad.kernel.faults import Finding, invalid
from riad.pipelines.language.context import Context
from riad.pipelines.language.model import AllowFailure, Config, Environment, JobConfig, Need, Rule, Variable, When
from riad.pipelines.language.plan import JobPlan, Nothing, PipelinePlan
from riad.pipelines.language.rules import first_match, passes_refs
from riad.pipelines.language.variables import expand, expand_all

MAX_JOBS = 500


def compile_config(config: Config, context: Context) -> PipelinePlan | Nothing:
    """Raises INVALID, with the line, where a needed job is not in this pipeline."""
    shared = {variable.key: variable for variable in config.variables}
    if config.workflow.rules is not None:
        rule = first_match(config.workflow.rules, _seen(context, shared.values()), context)
        if rule is None or rule.when is When.NEVER:
            return Nothing("`workflow:rules` leave this pipeline out")
        shared.update((variable.key, variable) for variable in rule.variables)
    compiler = _Compiler(config, context, tuple(shared.values()))
    jobs = [copy for job in config.jobs for copy in compiler.job(job)]
    if all(job.stage in (".pre", ".post") for job in jobs):
        return Nothing("the rules leave every job out" if not jobs else "there are only jobs in .pre and .post")
    if len(jobs) > MAX_JOBS:
        raise invalid(f"the pipeline would have {len(jobs)} jobs; at most {MAX_JOBS} are allowed")
    jobs = _connect(jobs, config)
    used = {job.stage for job in jobs}
    return PipelinePlan(
        stages=tuple(stage for stage in config.stages if stage in used),
        jobs=tuple(sorted(jobs, key=lambda job: job.stage_index)),
        name=_name(config, context, tuple(shared.values())),
    )


def _name(config: Config, context: Context, shared: tuple[Variable, ...]) -> str | None:
    return expand(config.workflow.name, _seen(context, shared))[:255] if config.workflow.name else None


def _seen(context: Context, *layers: Iterable[Variable]) -> dict[str, str]:
    """Variables as rules see them: not expanded (GitLab does not look into values there)."""
    values = dict(context.predefined)
    for layer in layers:
        values.update((variable.key, variable.value) for variable in layer)
    return {**values, **context.outer}


@dataclass(frozen=True, slots=True)
class _Compiler:
    config: Config
    context: Context
    shared: tuple[Variable, ...]

    def job(self, job: JobConfig) -> list[JobPlan]:
        """The job's copies in this pipeline: none, one, or those of `parallel`."""
        inherited = self._inherited(job)
        seen = _seen(self.context, inherited, job.variables) | {"CI_JOB_NAME": job.name, "CI_JOB_STAGE": job.stage}
        rule: Rule | None = None
        if job.rules is not None:
            rule = first_match(job.rules, seen, self.context)
            if rule is None:
                return []
        elif not passes_refs(job.only, job.except_, seen, self.context):
            return []
        when = (rule.when if rule else None) or job.when
        if when is When.NEVER:
            return []
        own = {v.key: v for v in (*inherited, *job.variables, *(rule.variables if rule else ()))}
        base = self._plan(job, rule, when, tuple(own.values()))
        return [self._with_environment(copy) for copy in _copies(job, base)]

    def _inherited(self, job: JobConfig) -> tuple[Variable, ...]:
        if job.inherit_variables is True:
            return self.shared
        if job.inherit_variables is False:
            return ()
        names = job.inherit_variables
        return tuple(variable for variable in self.shared if variable.key in names)

    def _plan(self, job: JobConfig, rule: Rule | None, when: When, variables: tuple[Variable, ...]) -> JobPlan:
        return JobPlan(
            name=job.name,
            stage=job.stage,
            stage_index=self.config.stages.index(job.stage),
            script=job.script,
            after_script=job.after_script,
            image=job.image,
            services=job.services,
            variables=variables,
            when=when,
            start_in=rule.start_in if rule and rule.start_in is not None else job.start_in,
            allow_failure=_allow_failure(job, rule, when),
            needs=rule.needs if rule and rule.needs is not None else job.needs,
            dependencies=job.dependencies,
            artifacts=job.artifacts,
            cache=job.cache,
            environment=job.environment,
            retry=job.retry,
            timeout=job.timeout,
            tags=job.tags,
            interruptible=rule.interruptible if rule and rule.interruptible is not None else job.interruptible,
            coverage=job.coverage,
        )

    def _with_environment(self, plan: JobPlan) -> JobPlan:
        """The environment's name is final at creation; its URL may use what the job itself finds out (dotenv)."""
        if plan.environment is None:
            return plan
        predefined = [Variable(key, value, raw=True) for key, value in self.context.predefined.items()]
        own = [Variable("CI_JOB_NAME", plan.name), Variable("CI_JOB_STAGE", plan.stage), *plan.variables]
        outer = [Variable(key, value) for key, value in self.context.outer.items()]
        values = expand_all([*predefined, *own, *outer])
        environment: Environment = replace(plan.environment, name=expand(plan.environment.name, values))
        return replace(plan, environment=environment)


def _allow_failure(job: JobConfig, rule: Rule | None, when: When) -> AllowFailure:
    """A plain manual job may be left out; one made manual by `rules` blocks, unless either says otherwise."""
    if rule is not None and rule.allow_failure is not None:
        return rule.allow_failure
    if job.allow_failure is not None:
        return job.allow_failure
    return AllowFailure(allowed=when is When.MANUAL and job.rules is None)


def _copies(job: JobConfig, plan: JobPlan) -> list[JobPlan]:
    if job.matrix:
        total = len(job.matrix)
        return [
            _copy(plan, f"{plan.name}: [{', '.join(v for _, v in row)}]", number, total, row)
            for number, row in enumerate(job.matrix, 1)
        ]
    if job.parallel is not None:
        total = job.parallel
        return [_copy(plan, f"{plan.name} {number}/{total}", number, total, ()) for number in range(1, total + 1)]
    return [plan]


def _copy(plan: JobPlan, name: str, number: int, total: int, row: tuple[tuple[str, str], ...]) -> JobPlan:
    added = (*row, ("CI_NODE_INDEX", str(number)), ("CI_NODE_TOTAL", str(total)))
    return replace(plan, name=name, variables=(*plan.variables, *(Variable(k, v) for k, v in added)))


def _connect(jobs: list[JobPlan], config: Config) -> list[JobPlan]:
    """Needs by the names of this pipeline's jobs: every copy of a parallel job; optional ones that are absent go."""
    lines = {job.name: job.line for job in config.jobs}
    copies: dict[str, list[str]] = {}
    for job in config.jobs:
        prefix = [p.name for p in jobs if p.name == job.name or _is_copy(p.name, job)]
        copies[job.name] = prefix
    findings: list[Finding] = []
    connected = []
    for plan in jobs:
        if plan.needs is None:
            connected.append(plan)
            continue
        found: list[Need] = []
        for need in plan.needs:
            names = copies.get(need.job, [])
            if not names and not need.optional:
                message = f"needs `{need.job}`, which the rules leave out of this pipeline; say `optional: true` there"
                findings.append(Finding(f"{plan.name}/needs", message, lines.get(plan.name)))
            found.extend(Need(name, need.artifacts, optional=False) for name in names)
        connected.append(replace(plan, needs=tuple(found)))
    if findings:
        raise invalid("\n".join(map(str, findings)), *findings)
    return connected


def _is_copy(name: str, job: JobConfig) -> bool:
    if job.matrix:
        return name.startswith(f"{job.name}: [")
    return job.parallel is not None and name.startswith(f"{job.name} ") and name.endswith(f"/{job.parallel}")
