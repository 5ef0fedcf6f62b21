"""Reads one job."""

from __future__ import annotations

from riad.pipelines.language import keywords
from riad.pipelines.language.model import JobConfig, Refs, Retry, When
from riad.pipelines.language.read import Place, choice, duration, flag, script, text, texts, variables
from riad.pipelines.language.read_parts import (
    allow_failure,
    artifacts,
    caches,
    coverage,
    environment,
    image,
    needs,
    parallel,
    refs,
    retry,
    rules,
    services,
)
from riad.pipelines.language.yaml_source import Entry, Mapping, Scalar

MAX_NAME = 255


def job(place: Place, name: str, line: int, defaults: dict[str, Entry], stages: tuple[str, ...]) -> JobConfig:
    """`defaults` are the keys a job takes over where it does not say them; `stages` all stages in order."""
    place.check_keys(keywords.JOB)
    _check_shape(place, name, line)
    full = _with_defaults(place, defaults)
    copies, matrix = parallel(below) if (below := full.at("parallel")) else (None, ())
    start_in, timeout = full.at("start_in"), full.at("timeout")
    found = JobConfig(
        name=name,
        line=line,
        stage=_stage(full.at("stage"), stages),
        stage_missing=full.at("stage") is None,
        script=script(full.at("before_script")) + script(full.at("script")),
        after_script=script(full.at("after_script")),
        image=image(below) if (below := full.at("image")) else None,
        services=services(below) if (below := full.at("services")) else (),
        variables=variables(full.at("variables"), keywords.VARIABLE),
        inherit_variables=_inherited(place, "variables"),
        rules=rules(below) if (below := full.at("rules")) else None,
        only=_refs(full, "only"),
        except_=_refs(full, "except"),
        when=When(choice(full.at("when"), set(When), When.ON_SUCCESS)),
        start_in=duration(start_in) if start_in else None,
        allow_failure=allow_failure(below) if (below := full.at("allow_failure")) else None,
        needs=needs(below) if (below := full.at("needs")) else None,
        dependencies=texts(below) if (below := full.at("dependencies")) else None,
        artifacts=artifacts(below) if (below := full.at("artifacts")) else None,
        cache=caches(below) if (below := full.at("cache")) else (),
        environment=environment(below) if (below := full.at("environment")) else None,
        retry=retry(below) if (below := full.at("retry")) else Retry(),
        timeout=duration(timeout) if timeout else None,
        tags=texts(full.at("tags")),
        interruptible=flag(full.at("interruptible")),
        coverage=coverage(below) if (below := full.at("coverage")) else None,
        parallel=copies,
        matrix=matrix,
    )
    if (found.when is When.DELAYED) != (start_in is not None) and found.rules is None:
        place.wrong("`start_in` and `when: delayed` belong together")
    return found


def _check_shape(place: Place, name: str, line: int) -> None:
    assert isinstance(place.node, Mapping)
    if len(name) > MAX_NAME:
        place.findings.add(name[:40], line, f"a job's name has at most {MAX_NAME} characters")
    known = keywords.JOB.known | keywords.JOB.later
    keys = place.node.entries.keys()
    if place.at("script") is None and keys <= known and not keys & {"trigger", "run", "release"}:
        place.findings.add(name, line, "has no `script`")
    if place.at("rules") is not None:
        for old in ("only", "except"):
            if old in place.node.entries:
                place.findings.add(f"{name}/{old}", place.node.entries[old].line, "cannot stand beside `rules`")


def _with_defaults(place: Place, defaults: dict[str, Entry]) -> Place:
    """The job with `default`'s keys; a key the job gives as null stays taken back."""
    assert isinstance(place.node, Mapping)
    allowed = _inherited(place, "default")
    taken = {key: entry for key, entry in defaults.items() if allowed is True or (allowed and key in allowed)}
    return Place(Mapping({**taken, **place.node.entries}, place.node.line), place.path, place.findings)


def _inherited(place: Place, what: str) -> bool | tuple[str, ...]:
    """`inherit:default` or `inherit:variables`: true, false or the keys that may come in."""
    inherit = place.at("inherit")
    if inherit is None or not inherit.check_keys(keywords.INHERIT):
        return True
    wanted = inherit.at(what)
    if wanted is None:
        return True
    return flag(wanted) if isinstance(wanted.node, Scalar) else texts(wanted)


def _stage(place: Place | None, stages: tuple[str, ...]) -> str:
    stage = text(place, "test")
    if stage not in stages:
        shown = ", ".join(s for s in stages if not s.startswith("."))
        if place is not None:
            place.wrong(f"there is no stage `{stage}`; the stages are {shown}")
        return stages[0]
    return stage


def _refs(full: Place, key: str) -> Refs | None:
    place = full.at(key)
    return refs(place) if place is not None else None
