"""Advisories in OSV's format (ossf.github.io/osv-schema), from a file or a folder that the administrator keeps.

A file holds one advisory, a list of them, or one in each line; a folder any number of such `*.json` files, at any
depth. What cannot be read is told, never silently left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from riad.registry.sbom.packages import Package
from riad.registry.sbom.versions import compare

SEVERITIES = ("critical", "high", "medium", "low", "unknown")
_WORDS = {"moderate": "medium", "important": "high", "negligible": "low"}


@dataclass(frozen=True, slots=True)
class Affected:
    """One package that an advisory is about. `ranges` are (introduced, fixed, last affected), "" for open ends."""

    ecosystem: str
    name: str
    ranges: tuple[tuple[str, str, str], ...]
    versions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Advisory:
    id: str
    summary: str
    severity: str
    aliases: tuple[str, ...]
    affected: tuple[Affected, ...]


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """`fixed` is the version that is not affected any more, "" where none is known."""

    advisory: Advisory
    package: Package
    fixed: str


@dataclass(frozen=True, slots=True)
class Advisories:
    """By the name of the package. `problems` are files that could not be read."""

    by_name: Mapping[str, Sequence[tuple[Advisory, Affected]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    count: int = 0

    def of(self, packages: Iterable[Package]) -> list[Vulnerability]:
        """What is known of these packages, the worst first; withdrawn advisories do not count."""
        found: dict[tuple[str, Package], Vulnerability] = {}
        for package in packages:
            for advisory, affected in self.by_name.get(package.source, ()):
                fixed = hit(package, affected)
                if fixed is not None:
                    found[advisory.id, package] = Vulnerability(advisory, package, fixed)
        return sorted(
            found.values(), key=lambda v: (SEVERITIES.index(v.advisory.severity), v.package.name, v.advisory.id)
        )


def hit(package: Package, affected: Affected) -> str | None:
    """The version that mends it ("" where there is none), None where the package is not affected."""
    if not _same_ecosystem(package.ecosystem, affected.ecosystem) or package.source != affected.name:
        return None
    version = package.source_version
    for introduced, fixed, last in affected.ranges:
        begins = introduced in ("", "0") or compare(package.ecosystem, version, introduced) >= 0
        mended = bool(fixed) and compare(package.ecosystem, version, fixed) >= 0
        beyond = bool(last) and compare(package.ecosystem, version, last) > 0
        if begins and not mended and not beyond:
            return fixed
    return "" if version in affected.versions else None


def load(path: Path | None) -> Advisories:
    """Read once and kept until a file changes."""
    if path is None:
        return Advisories()
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    try:
        stamp = tuple((str(file), file.stat().st_mtime_ns) for file in files)
    except OSError as error:
        return Advisories(problems=(f"{path}: {error.strerror}",))
    return _load(stamp)


@lru_cache(1)
def _load(stamp: tuple[tuple[str, int], ...]) -> Advisories:
    by_name: dict[str, list[tuple[Advisory, Affected]]] = {}
    problems, count = [], 0
    for name, _ in stamp:
        try:
            for advisory in parse(Path(name).read_text()):
                count += 1
                for affected in advisory.affected:
                    by_name.setdefault(affected.name, []).append((advisory, affected))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            problems.append(f"{name}: {error}")
    return Advisories(by_name, tuple(problems), count)


def parse(text: str) -> Iterator[Advisory]:
    """Raises ValueError, LookupError, TypeError, AttributeError for what is not OSV."""
    try:
        raw = json.loads(text)
    except ValueError:
        raw = [json.loads(line) for line in text.splitlines() if line.strip()]
    for one in raw if isinstance(raw, list) else [raw]:
        if not one.get("withdrawn"):
            yield _advisory(one)


def _advisory(raw: Mapping[str, Any]) -> Advisory:
    return Advisory(
        id=str(raw["id"]),
        summary=str(raw.get("summary") or raw.get("details", ""))[:300],
        severity=_severity(raw),
        aliases=tuple(map(str, raw.get("aliases") or ())),
        affected=tuple(_affected(one) for one in raw.get("affected") or () if "package" in one),
    )


def _affected(raw: Mapping[str, Any]) -> Affected:
    package = raw["package"]
    ecosystem, name = str(package["ecosystem"]), str(package["name"])
    if ecosystem == "PyPI":
        name = re.sub(r"[-_.]+", "-", name).lower()
    ranges = [
        found
        for one in raw.get("ranges") or ()
        if one.get("type") != "GIT"
        for found in _ranges(one.get("events") or ())
    ]
    return Affected(ecosystem, name, tuple(ranges), frozenset(map(str, raw.get("versions") or ())))


def _ranges(events: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Events are in order: each `introduced` lasts until the next `fixed` or `last_affected`."""
    introduced: str | None = None
    for event in events:
        if "introduced" in event:
            if introduced is not None:
                yield introduced, "", ""
            introduced = str(event["introduced"])
        elif introduced is not None and ("fixed" in event or "last_affected" in event):
            yield introduced, str(event.get("fixed", "")), str(event.get("last_affected", ""))
            introduced = None
    if introduced is not None:
        yield introduced, "", ""


def _severity(raw: Mapping[str, Any]) -> str:
    words = [
        raw.get("database_specific") or {},
        *(one.get("database_specific") or {} for one in raw.get("affected") or ()),
    ]
    words += [one.get("ecosystem_specific") or {} for one in raw.get("affected") or ()]
    for found in words:
        word = str(found.get("severity") or found.get("urgency") or "").lower()
        word = _WORDS.get(word, word)
        if word in SEVERITIES[:-1]:
            return word
    scores = [_score(str(one.get("score", ""))) for one in raw.get("severity") or ()]
    best = max((score for score in scores if score is not None), default=None)
    if best is None:
        return "unknown"
    return "critical" if best >= 9 else "high" if best >= 7 else "medium" if best >= 4 else "low"


_IMPACT = {"H": 0.56, "L": 0.22, "N": 0.0}
_ATTACK = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}


def _score(text: str) -> float | None:
    """A plain number, or the base score of a CVSS 3 vector (first.org/cvss/v3.1, 7.1)."""
    try:
        return float(text)
    except ValueError:
        pass
    parts = dict(part.partition(":")[::2] for part in text.split("/"))
    if parts.get("CVSS") not in ("3.0", "3.1"):
        return None
    try:
        changed = parts["S"] == "C"
        gone = 1 - (1 - _IMPACT[parts["C"]]) * (1 - _IMPACT[parts["I"]]) * (1 - _IMPACT[parts["A"]])
        impact = 7.52 * (gone - 0.029) - 3.25 * (gone - 0.02) ** 15 if changed else 6.42 * gone
        privileges = {"N": 0.85, "L": 0.68 if changed else 0.62, "H": 0.5 if changed else 0.27}[parts["PR"]]
        complexity, interaction = {"L": 0.77, "H": 0.44}[parts["AC"]], {"N": 0.85, "R": 0.62}[parts["UI"]]
        ease = 8.22 * _ATTACK[parts["AV"]] * complexity * privileges * interaction
    except KeyError:
        return None
    if impact <= 0:
        return 0.0
    return min(10.0, (1.08 if changed else 1.0) * (impact + ease))


def _same_ecosystem(package: str, advisory: str) -> bool:
    """`Debian` stands for all its releases; `Ubuntu:22.04:LTS` for 22.04."""
    return package == advisory or package.partition(":")[0] == advisory or advisory.startswith(f"{package}:")
