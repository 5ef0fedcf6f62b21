"""`extends` and `!reference`: what a job takes over from others, before anything is validated.

The rules (GitLab, doc/ci/yaml/yaml_optimization.md):
- `extends` merges mappings key by key, deep; lists and plain values are replaced; of several parents the last wins;
  the job's own keys win over all; a null takes the inherited key back; at most 11 levels; hidden jobs may extend.
- `!reference [job, key, …]` is replaced by the value found there after `extends`; at most 10 deep; no circles.
"""

from __future__ import annotations

from riad.pipelines.language.findings import Findings
from riad.pipelines.language.yaml_source import Entry, Line, Listing, Mapping, Node, Reference, Scalar, is_null

MAX_EXTENDS = 11
MAX_REFERENCES = 10


def inherit(top: Mapping, findings: Findings) -> Mapping:
    """The same file with every `extends` merged and every `!reference` replaced."""
    extended = _Extends(top, findings).apply()
    return _References(extended, findings).apply()


def deep_merge(under: Mapping, over: Mapping) -> Mapping:
    merged = dict(under.entries)
    for key, entry in over.entries.items():
        below = merged.get(key)
        if below is not None and isinstance(below.node, Mapping) and isinstance(entry.node, Mapping):
            entry = Entry(entry.line, deep_merge(below.node, entry.node))
        merged[key] = entry
    return Mapping(merged, over.line)


class _Extends:
    def __init__(self, top: Mapping, findings: Findings) -> None:
        self._top = top
        self._findings = findings
        self._done: dict[str, Mapping] = {}

    def apply(self) -> Mapping:
        entries = {
            name: Entry(entry.line, self._job(name, entry.node, ())) if isinstance(entry.node, Mapping) else entry
            for name, entry in self._top.entries.items()
        }
        return Mapping(entries, self._top.line)

    def _job(self, name: str, job: Mapping, below: tuple[str, ...]) -> Mapping:
        if name in self._done or "extends" not in job.entries:
            return self._done.get(name, job)
        base = Mapping({}, job.line)
        for parent, line in self._parents(name, job):
            found = self._top.get(parent)
            if not isinstance(found, Mapping):
                self._findings.add(f"{name}/extends", line, f"there is no job `{parent}` to extend")
            elif parent == name or parent in below:
                self._findings.add(f"{name}/extends", line, f"circle: {' → '.join((*below, name, parent))}")
            elif len(below) + 1 > MAX_EXTENDS:
                self._findings.add(f"{name}/extends", line, f"nested deeper than {MAX_EXTENDS} levels")
            else:
                base = deep_merge(base, self._job(parent, found, (*below, name)))
        own = Mapping({k: e for k, e in job.entries.items() if k != "extends"}, job.line)
        merged = deep_merge(base, own)
        if not self._findings:
            self._done[name] = merged
        return merged

    def _parents(self, name: str, job: Mapping) -> list[tuple[str, Line]]:
        entry = job.entries["extends"]
        items = entry.node.items if isinstance(entry.node, Listing) else (entry.node,)
        parents: list[tuple[str, Line]] = []
        for item in items:
            if isinstance(item, Scalar) and isinstance(item.value, str):
                parents.append((item.value, item.line))
            elif not is_null(item):
                self._findings.add(f"{name}/extends", item.line, "must be a job's name or a list of names")
        return parents


class _References:
    def __init__(self, top: Mapping, findings: Findings) -> None:
        self._top = top
        self._findings = findings

    def apply(self) -> Mapping:
        entries = {
            key: Entry(entry.line, self._resolve(entry.node, key, ())) for key, entry in self._top.entries.items()
        }
        return Mapping(entries, self._top.line)

    def _resolve(self, node: Node, path: str, through: tuple[tuple[str, ...], ...]) -> Node:
        match node:
            case Mapping():
                if not _holds_reference(node):
                    return node
                entries = {
                    k: Entry(e.line, self._resolve(e.node, f"{path}/{k}", through)) for k, e in node.entries.items()
                }
                return Mapping(entries, node.line)
            case Listing():
                if not _holds_reference(node):
                    return node
                items = tuple(self._resolve(item, f"{path}/{i}", through) for i, item in enumerate(node.items))
                return Listing(items, node.line)
            case Reference():
                return self._follow(node, path, through)
            case Scalar():
                return node

    def _follow(self, reference: Reference, path: str, through: tuple[tuple[str, ...], ...]) -> Node:
        shown = f"!reference [{', '.join(reference.path)}]"
        if reference.path in through:
            self._findings.add(path, reference.line, f"{shown} refers to itself")
        elif len(through) >= MAX_REFERENCES:
            self._findings.add(path, reference.line, f"{shown} is nested deeper than {MAX_REFERENCES} levels")
        else:
            found: Node | None = self._top
            for key in reference.path:
                found = found.get(key) if isinstance(found, Mapping) else None
            if found is not None:
                return self._resolve(found, path, (*through, reference.path))
            self._findings.add(path, reference.line, f"{shown}: there is nothing at that place")
        return Scalar(None, reference.line)


def _holds_reference(node: Node) -> bool:
    match node:
        case Reference():
            return True
        case Mapping():
            return any(_holds_reference(entry.node) for entry in node.entries.values())
        case Listing():
            return any(_holds_reference(item) for item in node.items)
        case Scalar():
            return False
