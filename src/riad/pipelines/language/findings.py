"""Collects everything that is wrong with a file before anything is said about it."""

from __future__ import annotations

from difflib import get_close_matches

from riad.kernel.faults import Fault, Finding, Kind
from riad.pipelines.language.yaml_source import Line


class Findings:
    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    def add(self, path: str, line: int | None, message: str) -> None:
        if isinstance(line, Line) and line.file:
            path = f"{line.file}: {path}"
        self._found.setdefault(Finding(path, message, line))

    def unknown(self, path: str, key: str, line: int, known: frozenset[str]) -> None:
        near = get_close_matches(key, sorted(known), n=1, cutoff=0.6)
        hint = f" (did you mean `{near[0]}`?)" if near else ""
        self.add(f"{path}/{key}" if path else key, line, f"unknown key `{key}`{hint}")

    def unsupported(self, path: str, key: str, line: int) -> None:
        self.add(f"{path}/{key}" if path else key, line, f"riad does not support `{key}` yet")

    def __bool__(self) -> bool:
        return bool(self._found)

    def take(self, fault: Fault) -> None:
        for finding in fault.findings:
            self._found.setdefault(finding)

    def raise_if_any(self) -> None:
        """Raises INVALID with all findings in the order of the file."""
        if self._found:
            ordered = tuple(sorted(self._found, key=lambda finding: finding.line or 0))
            raise Fault(Kind.INVALID, "\n".join(map(str, ordered)), findings=ordered)
