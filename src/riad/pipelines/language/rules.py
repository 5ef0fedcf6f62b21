"""`rules` and `only`/`except`: is a job in this pipeline, and as what?

The first rule that holds decides; within a rule every key must hold; `changes` and `exists` hold when one path does.
No rule holds: the job is absent. (doc/ci/jobs/job_rules.md)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riad.pipelines.language import expressions, globs, regexes
from riad.pipelines.language.context import Context
from riad.pipelines.language.model import Refs, Rule
from riad.pipelines.language.variables import expand

MAX_CHECKS = 50_000


def first_match(rules: Sequence[Rule], variables: Mapping[str, str], context: Context) -> Rule | None:
    for rule in rules:
        if _holds(rule, variables, context):
            return rule
    return None


def _holds(rule: Rule, variables: Mapping[str, str], context: Context) -> bool:
    if rule.condition is not None and not expressions.holds(rule.condition, variables):
        return False
    if rule.changes is not None and not _changed(rule.changes.paths, rule.changes.compare_to, variables, context):
        return False
    return rule.exists is None or _any_exists(rule.exists, variables, context)


def _changed(patterns: Sequence[str], compare_to: str | None, variables: Mapping[str, str], context: Context) -> bool:
    changed = context.changed_paths(compare_to)
    if changed is None or len(changed) * len(patterns) > MAX_CHECKS:
        return True
    wanted = [expand(pattern, variables) for pattern in patterns]
    return any(globs.matches(pattern.removeprefix("./"), path) for path in changed for pattern in wanted)


def _any_exists(patterns: Sequence[str], variables: Mapping[str, str], context: Context) -> bool:
    paths = context.paths()
    if len(paths) * len(patterns) > MAX_CHECKS:
        return True
    for pattern in (expand(p, variables).removeprefix("./").removeprefix("/") for p in patterns):
        if pattern.endswith("/"):
            if any(path.startswith(pattern) for path in paths):
                return True
        elif any(globs.matches(pattern, path) for path in paths):
            return True
    return False


def passes_refs(only: Refs | None, but: Refs | None, variables: Mapping[str, str], context: Context) -> bool:
    """The older `only` and `except`. A job with neither runs for branches and tags."""
    wanted = only or Refs(refs=("branches", "tags"))
    if not _refs_hold(wanted, variables, context, default=True):
        return False
    return but is None or not _excepted(but, variables, context)


def _refs_hold(refs: Refs, variables: Mapping[str, str], context: Context, *, default: bool) -> bool:
    """`only`: each given kind must hold."""
    by_ref = _matches_ref(refs.refs, context) if refs.refs else default
    by_variable = _any_condition(refs.variables, variables) if refs.variables else default
    by_change = _changed(refs.changes, None, variables, context) if refs.changes else default
    return by_ref and by_variable and by_change


def _excepted(refs: Refs, variables: Mapping[str, str], context: Context) -> bool:
    """`except`: one kind that holds is enough."""
    return (
        (bool(refs.refs) and _matches_ref(refs.refs, context))
        or (bool(refs.variables) and _any_condition(refs.variables, variables))
        or (bool(refs.changes) and _changed(refs.changes, None, variables, context))
    )


def _any_condition(conditions: Sequence[str], variables: Mapping[str, str]) -> bool:
    return any(expressions.holds(condition, variables) for condition in conditions)


_SOURCES = {
    "pushes": "push",
    "web": "web",
    "api": "api",
    "schedules": "schedule",
    "triggers": "trigger",
    "pipelines": "pipeline",
    "merge_requests": "merge_request_event",
    "external": "external",
    "chat": "chat",
}


def _matches_ref(patterns: Sequence[str], context: Context) -> bool:
    return any(_matches_one(pattern.partition("@")[0], context) for pattern in patterns)


def _matches_one(pattern: str, context: Context) -> bool:
    from_request = context.source == "merge_request_event"
    if pattern == "branches":
        return not context.is_tag and not from_request
    if pattern == "tags":
        return context.is_tag
    if pattern in _SOURCES:
        return context.source == _SOURCES[pattern]
    if regexes.is_literal(pattern):
        return regexes.literal(pattern).matches(context.ref)
    return pattern == context.ref
