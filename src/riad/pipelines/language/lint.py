"""A whole file: text → `Config`, or one fault with every finding, each with its line and its path of keys.

`default` (and the older top-level `image`, `services`, `cache`, `before_script`, `after_script`) is copied into a job
key by key where the job does not say the key itself; it is never merged with it. `inherit` cuts that.
"""

from __future__ import annotations

from riad.pipelines.language import keywords
from riad.pipelines.language.check_jobs import check_jobs
from riad.pipelines.language.findings import Findings
from riad.pipelines.language.include import Files, NoFiles, with_includes
from riad.pipelines.language.inherit import inherit
from riad.pipelines.language.model import Config, JobConfig, Variable, Workflow
from riad.pipelines.language.read import Place, optional_text, texts, variables
from riad.pipelines.language.read_job import job
from riad.pipelines.language.read_parts import rules
from riad.pipelines.language.yaml_source import Entry, Mapping, parse

DEFAULT_STAGES = ("build", "test", "deploy")
_OLD_DEFAULTS = ("image", "services", "cache", "before_script", "after_script")


def lint(text: str | bytes, files: Files | None = None) -> Config:
    """Raises INVALID with all findings, in the order of the file."""
    top = parse(text)
    findings = Findings()
    top = with_includes(top, files or NoFiles(), findings)
    findings.raise_if_any()
    top = inherit(top, findings)
    findings.raise_if_any()  # what is missing because a parent is missing would only be noise
    config = _read(top, findings)
    check_jobs(config, findings)
    findings.raise_if_any()
    return config


def _read(top: Mapping, findings: Findings) -> Config:
    root = Place(top, "", findings)
    for key, entry in top.entries.items():
        if key in keywords.TOP.later:
            findings.unsupported("", key, entry.line)
    stages = _stages(_top(root, "stages"))
    return Config(
        stages=stages,
        variables=_variables(_top(root, "variables")),
        jobs=_jobs(root, top, _defaults(root, top), stages),
        workflow=_workflow(_top(root, "workflow")),
    )


def _top(root: Place, key: str) -> Place | None:
    found = root.at(key)
    return None if found is None else Place(found.node, key, root.findings)


def _stages(place: Place | None) -> tuple[str, ...]:
    named = texts(place) if place is not None else DEFAULT_STAGES
    between = dict.fromkeys(stage for stage in named if stage not in (".pre", ".post"))
    return (".pre", *between, ".post")


def _variables(place: Place | None) -> tuple[Variable, ...]:
    return variables(place, keywords.VARIABLE)


def _workflow(place: Place | None) -> Workflow:
    if place is None or not place.check_keys(keywords.WORKFLOW):
        return Workflow()
    listed = place.at("rules")
    return Workflow(
        rules=rules(listed, of_workflow=True) if listed is not None else None,
        name=optional_text(place.at("name")),
    )


def _defaults(root: Place, top: Mapping) -> dict[str, Entry]:
    old = {key: top.entries[key] for key in _OLD_DEFAULTS if key in top.entries}
    place = _top(root, "default")
    if place is None or not place.check_keys(keywords.DEFAULT) or not isinstance(place.node, Mapping):
        return old
    return {**old, **{key: entry for key, entry in place.node.entries.items() if key in keywords.DEFAULT.known}}


def _jobs(root: Place, top: Mapping, defaults: dict[str, Entry], stages: tuple[str, ...]) -> tuple[JobConfig, ...]:
    found: list[JobConfig] = []
    words = keywords.TOP.known | keywords.TOP.later
    hidden = 0
    for name, entry in top.entries.items():
        if name in words:
            continue
        if name.startswith("."):
            hidden += 1
        elif not isinstance(entry.node, Mapping):
            root.findings.unknown("", name, entry.line, words)
        else:
            place = Place(entry.node, name, root.findings)
            found.append(job(place, name, entry.line, defaults, stages))
    if not found and not root.findings:
        tail = ": jobs that start with a dot are only templates" if hidden else ""
        root.findings.add("", top.line, f"the file holds no job{tail}")
    return tuple(found)
