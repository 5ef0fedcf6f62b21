"""`include:local`: other files of the same commit, merged first; then the pipeline's own file wins, key by key.

Later includes win over earlier ones; included files may include more; a file is read once; wildcards as in GitLab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from riad.kernel.faults import Fault
from riad.pipelines.language import globs, keywords
from riad.pipelines.language.findings import Findings
from riad.pipelines.language.inherit import deep_merge
from riad.pipelines.language.read import Place, text
from riad.pipelines.language.yaml_source import Line, Mapping, Scalar, parse

MAX_FILES = 150


class Files(Protocol):
    """The files of the commit."""

    def read(self, path: str) -> bytes | None: ...

    def paths(self) -> Sequence[str]: ...


class NoFiles:
    """For a text that stands alone, as in a lint request without a project."""

    def read(self, path: str) -> bytes | None:
        return None

    def paths(self) -> Sequence[str]:
        return ()


def with_includes(top: Mapping, files: Files, findings: Findings) -> Mapping:
    return _Includes(files, findings).merge(top)


class _Includes:
    def __init__(self, files: Files, findings: Findings) -> None:
        self._files = files
        self._findings = findings
        self._read: set[str] = set()

    def merge(self, top: Mapping) -> Mapping:
        own = Mapping({key: entry for key, entry in top.entries.items() if key != "include"}, top.line)
        base = Mapping({}, top.line)
        wanted = top.get("include")
        for item in Place(wanted, "include", self._findings).items() if wanted is not None else ():
            for path in self._paths(item):
                base = deep_merge(base, self._file(path, item))
        return deep_merge(base, own)

    def _paths(self, item: Place) -> list[str]:
        if isinstance(item.node, Scalar):
            path = text(item)
        elif item.check_keys(keywords.INCLUDE):
            if item.at("local") is None:
                return []
            path = text(item.at("local"))
        else:
            return []
        if path.startswith(("http://", "https://")):
            item.wrong("riad does not support `include:remote` yet")
            return []
        path = path.lstrip("/")
        if not any(letter in path for letter in "*?["):
            return [path]
        return sorted(known for known in self._files.paths() if globs.matches(path, known))

    def _file(self, path: str, item: Place) -> Mapping:
        nothing = Mapping({}, Line(1))
        if path in self._read:
            return nothing
        self._read.add(path)
        if len(self._read) > MAX_FILES:
            item.wrong(f"more than {MAX_FILES} files are included")
            return nothing
        content = self._files.read(path)
        if content is None:
            item.wrong(f"there is no file `{path}` in this commit")
            return nothing
        try:
            return self.merge(parse(content, path))
        except Fault as fault:
            self._findings.take(fault)
            return nothing
