"""Reads the parts of a job that have a shape of their own: image, services, artifacts, cache, environment, rules, …"""

from __future__ import annotations

from riad.pipelines.language import expressions, globs, keywords, regexes
from riad.pipelines.language.model import (
    AllowFailure,
    Artifacts,
    Cache,
    Changes,
    Environment,
    Image,
    Need,
    Refs,
    Retry,
    Rule,
    Service,
    When,
)
from riad.pipelines.language.read import (
    Place,
    choice,
    command_words,
    duration,
    flag,
    number,
    optional_text,
    script,
    text,
    texts,
    variables,
)
from riad.pipelines.language.yaml_source import Listing, Mapping, Scalar

MAX_NEEDS = 50
MAX_CACHES = 4
MAX_RULE_PATHS = 50


def image(place: Place) -> Image | None:
    if isinstance(place.node, Scalar):
        return Image(text(place))
    if not place.check_keys(keywords.IMAGE):
        return None
    if place.at("name") is None:
        place.wrong("has no `name`")
    return Image(text(place.at("name")), command_words(place.at("entrypoint")), _pull_policy(place))


def _pull_policy(place: Place) -> tuple[str, ...]:
    below = place.at("pull_policy")
    return tuple(choice(item, keywords.PULL_POLICIES, "always") for item in below.items()) if below else ()


def services(place: Place) -> tuple[Service, ...]:
    if not isinstance(place.node, Listing):
        place.wrong("must be a list")
        return ()
    return tuple(found for item in place.items() if (found := _service(item)) is not None)


def _service(place: Place) -> Service | None:
    if isinstance(place.node, Scalar):
        return Service(text(place))
    if not place.check_keys(keywords.SERVICE):
        return None
    if place.at("name") is None:
        place.wrong("has no `name`")
    aliases = text(place.at("alias")).replace(",", " ").split()
    return Service(
        name=text(place.at("name")),
        aliases=tuple(aliases),
        entrypoint=command_words(place.at("entrypoint")),
        command=script(place.at("command")),
        variables=variables(place.at("variables")),
        pull_policy=_pull_policy(place),
    )


def artifacts(place: Place) -> Artifacts | None:
    if not place.check_keys(keywords.ARTIFACTS):
        return None
    expire = place.at("expire_in")
    keep = expire is not None and isinstance(expire.node, Scalar) and expire.node.value == "never"
    reports = place.at("reports")
    if reports is not None and not reports.check_keys(keywords.REPORTS):
        reports = None
    return Artifacts(
        paths=_patterns(place.at("paths")),
        exclude=_patterns(place.at("exclude")),
        name=text(place.at("name"), "artifacts"),
        untracked=flag(place.at("untracked")),
        when=choice(place.at("when"), {"on_success", "on_failure", "always"}, "on_success"),
        expire_in=None if keep else duration(expire) if expire is not None else 30 * 86400,
        junit=_patterns(reports.at("junit")) if reports else (),
        dotenv=_patterns(reports.at("dotenv")) if reports else (),
    )


def _patterns(place: Place | None) -> tuple[str, ...]:
    found = texts(place)
    for pattern in found:
        if place is not None and (problem := globs.problem(pattern)):
            place.wrong(f"`{pattern}`: {problem}")
    return found


def caches(place: Place) -> tuple[Cache, ...]:
    items = place.items()
    if len(items) > MAX_CACHES:
        place.wrong(f"at most {MAX_CACHES} caches")
    return tuple(found for item in items if (found := _cache(item)) is not None)


def _cache(place: Place) -> Cache | None:
    if not place.check_keys(keywords.CACHE):
        return None
    key = place.at("key")
    files: tuple[str, ...] = ()
    prefix, plain = "", "default"
    if key is not None and isinstance(key.node, Mapping):
        if key.check_keys(keywords.CACHE_KEY):
            files, prefix = texts(key.at("files")), text(key.at("prefix"))
            if not 1 <= len(files) <= 2:
                key.wrong("`files` takes one or two paths")
    elif key is not None:
        plain = text(key, "default")
        if "/" in plain or not plain.strip("."):
            key.wrong("a cache key must not hold `/` nor consist of dots")
    return Cache(
        key=plain,
        key_files=files,
        key_prefix=prefix,
        paths=_patterns(place.at("paths")),
        policy=choice(place.at("policy"), {"pull-push", "pull", "push"}, "pull-push"),
        when=choice(place.at("when"), {"on_success", "on_failure", "always"}, "on_success"),
        fallback_keys=texts(place.at("fallback_keys")),
    )


def environment(place: Place) -> Environment | None:
    if isinstance(place.node, Scalar):
        return Environment(text(place))
    if not place.check_keys(keywords.ENVIRONMENT):
        return None
    if place.at("name") is None:
        place.wrong("has no `name`")
    tier = place.at("deployment_tier")
    return Environment(
        name=text(place.at("name")),
        url=optional_text(place.at("url")),
        action=choice(place.at("action"), keywords.ENVIRONMENT_ACTIONS, "start"),
        on_stop=optional_text(place.at("on_stop")),
        tier=choice(tier, keywords.DEPLOYMENT_TIERS, "other") if tier is not None else None,
    )


def retry(place: Place) -> Retry:
    if isinstance(place.node, Scalar):
        return Retry(number(place, least=0, most=2))
    if not place.check_keys(keywords.RETRY):
        return Retry()
    most, when = place.at("max"), place.at("when")
    return Retry(
        max=number(most, least=0, most=2) if most else 0,
        when=tuple(choice(i, keywords.RETRY_REASONS, "always") for i in when.items()) if when else ("always",),
        exit_codes=_exit_codes(place.at("exit_codes")),
    )


def _exit_codes(place: Place | None) -> tuple[int, ...]:
    return tuple(number(item, least=0, most=255) for item in place.items()) if place else ()


def allow_failure(place: Place) -> AllowFailure:
    if isinstance(place.node, Scalar):
        return AllowFailure(flag(place))
    if not place.check_keys(keywords.ALLOW_FAILURE):
        return AllowFailure(allowed=False)
    return AllowFailure(allowed=False, exit_codes=_exit_codes(place.at("exit_codes")))


def needs(place: Place) -> tuple[Need, ...]:
    if not isinstance(place.node, Listing):
        place.wrong("must be a list of jobs")
        return ()
    found = [need for item in place.items() for need in _need(item)]
    if len(found) > MAX_NEEDS:
        place.wrong(f"at most {MAX_NEEDS} jobs, these are {len(found)}")
    return tuple(found)


def _need(place: Place) -> tuple[Need, ...]:
    if isinstance(place.node, Listing):
        return needs(place)
    if isinstance(place.node, Scalar):
        return (Need(text(place)),)
    if not place.check_keys(keywords.NEED):
        return ()
    if place.at("job") is None:
        place.wrong("has no `job`")
        return ()
    optional = flag(place.at("optional"))
    return (Need(text(place.at("job")), flag(place.at("artifacts"), default=True), optional),)


def rules(place: Place, *, of_workflow: bool = False) -> tuple[Rule, ...]:
    if not isinstance(place.node, Listing):
        place.wrong("must be a list of rules")
        return ()
    found: list[Rule] = []
    for item in place.items():
        if isinstance(item.node, Listing):
            found.extend(rules(item, of_workflow=of_workflow))
        elif item.check_keys(keywords.WORKFLOW_RULE if of_workflow else keywords.RULE):
            found.append(_rule(item, of_workflow=of_workflow))
    return tuple(found)


def _rule(place: Place, *, of_workflow: bool) -> Rule:
    when, start_in, allow = place.at("when"), place.at("start_in"), place.at("allow_failure")
    options = {"always", "never"} if of_workflow else set(When)
    needed, interruptible = place.at("needs"), place.at("interruptible")
    rule = Rule(
        line=place.node.line,
        condition=condition(place.at("if")),
        changes=_changes(place.at("changes")),
        exists=_exists(place.at("exists")),
        when=When(choice(when, options, When.ALWAYS)) if when else None,
        start_in=duration(start_in) if start_in else None,
        allow_failure=allow_failure(allow) if allow else None,
        variables=variables(place.at("variables")),
        needs=needs(needed) if needed else None,
        interruptible=flag(interruptible) if interruptible else None,
    )
    if (rule.when is When.DELAYED) != (start_in is not None) and not of_workflow:
        place.wrong("`start_in` and `when: delayed` belong together")
    return rule


def condition(place: Place | None) -> str | None:
    if place is None:
        return None
    source = text(place)
    if source and (problem := expressions.problem(source)):
        place.wrong(f"not a condition: {problem}")
    return source


def _changes(place: Place | None) -> Changes | None:
    if place is None:
        return None
    if isinstance(place.node, Mapping):
        place.check_keys(keywords.CHANGES)
        return Changes(_rule_paths(place.at("paths")), optional_text(place.at("compare_to")))
    return Changes(_rule_paths(place))


def _exists(place: Place | None) -> tuple[str, ...] | None:
    if place is None:
        return None
    if isinstance(place.node, Mapping):
        place.check_keys(keywords.EXISTS)
        return _rule_paths(place.at("paths"))
    return _rule_paths(place)


def _rule_paths(place: Place | None) -> tuple[str, ...]:
    found = texts(place)
    if place is not None and len(found) > MAX_RULE_PATHS:
        place.wrong(f"at most {MAX_RULE_PATHS} patterns")
    for pattern in found:
        if place is not None and "$" not in pattern and (problem := globs.problem(pattern)):
            place.wrong(f"`{pattern}`: {problem}")
    return found


def refs(place: Place) -> Refs:
    if not isinstance(place.node, Mapping):
        return Refs(refs=_ref_patterns(place))
    place.check_keys(keywords.REFS)
    conditions = place.at("variables")
    return Refs(
        refs=_ref_patterns(place.at("refs")),
        variables=tuple(condition(item) or "" for item in conditions.items()) if conditions else (),
        changes=_rule_paths(place.at("changes")),
    )


def _ref_patterns(place: Place | None) -> tuple[str, ...]:
    found = texts(place)
    for pattern in found:
        if place is not None and pattern.startswith("/") and (problem := regexes.literal_problem(pattern)):
            place.wrong(f"`{pattern}`: {problem}")
    return found


def coverage(place: Place) -> str:
    source = text(place)
    if problem := regexes.literal_problem(source):
        place.wrong(problem)
    return source


def parallel(place: Place) -> tuple[int | None, tuple[tuple[tuple[str, str], ...], ...]]:
    """`parallel: N`, or the combinations of `parallel: {matrix: …}`, each a tuple of (name, value)."""
    if isinstance(place.node, Scalar):
        return number(place, least=1, most=200), ()
    if not place.check_keys(keywords.PARALLEL):
        return None, ()
    matrix = place.at("matrix")
    found: list[tuple[tuple[str, str], ...]] = []
    for block in matrix.items() if matrix else ():
        found.extend(_combinations(block))
        if len(found) > 200:
            break
    if not 1 <= len(found) <= 200:
        place.wrong("a matrix gives 1 to 200 jobs")
        return None, ()
    return None, tuple(found)


def _combinations(block: Place) -> list[tuple[tuple[str, str], ...]]:
    if not isinstance(block.node, Mapping):
        block.wrong("must be a mapping of names to lists of values")
        return []
    combined: list[tuple[tuple[str, str], ...]] = [()]
    for name in block.node.entries:
        values = texts(block.at(name))
        combined = [(*left, (name, value)) for left in combined for value in values]
        if len(combined) > 200:
            break
    return combined
