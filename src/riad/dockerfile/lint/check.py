"""Which findings count: the `# check=` directive, or the build argument that overrides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riad.dockerfile.ignore import IgnoreFile
from riad.dockerfile.lint.finding import RULES, LintFinding
from riad.dockerfile.lint.lines import written
from riad.dockerfile.lint.meaning import meant
from riad.dockerfile.parse import Dockerfile, parse
from riad.dockerfile.source import decode, read
from riad.kernel.faults import Finding, invalid


@dataclass(frozen=True, slots=True)
class Settings:
    """`skip=A,B;error=true;experimental=C`: names or `all`."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def applies(self, finding: LintFinding) -> bool:
        rule = finding.rule
        if rule.experimental and not {rule.name, "all"} & self.experimental:
            return False
        return not {rule.name, "all"} & self.skip


def read_settings(text: str) -> Settings:
    """Raises INVALID for a setting or rule that is not known."""
    lists: dict[str, frozenset[str]] = {}
    error = False
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = part.partition("=")
        if name == "error":
            if value.lower() not in ("true", "false", "1", "0"):
                raise invalid(f"check: error={value}: expected true or false")
            error = value.lower() in ("true", "1")
        elif name in ("skip", "experimental"):
            names = frozenset(item.strip() for item in value.split(",") if item.strip())
            unknown = sorted(names - set(RULES) - {"all"})
            if unknown:
                raise invalid(f"check: {name}={value}: there is no rule {unknown[0]}")
            lists[name] = names
        else:
            raise invalid(f"check: {name} is not a setting; expected skip, error or experimental")
    return Settings(lists.get("skip", frozenset()), lists.get("experimental", frozenset()), error)


def findings(
    content: bytes,
    *,
    build_args: Mapping[str, str] | None = None,
    ignore: IgnoreFile | None = None,
    bases: Mapping[int, frozenset[str]] | None = None,
    settings: str | None = None,
) -> tuple[list[LintFinding], Settings]:
    """By line, then by rule; `settings` overrides the file's own. Raises INVALID for what does not parse."""
    dockerfile: Dockerfile = parse(content)
    text = decode(content)
    chosen = read_settings(dockerfile.directives.get("check", "") if settings is None else settings)
    found = [*written(text, read(text)), *meant(dockerfile, build_args or {}, ignore or IgnoreFile(()), bases or {})]
    return sorted(filter(chosen.applies, found), key=lambda f: (f.line, f.rule.name, f.detail)), chosen


def failing(found: list[LintFinding]) -> Exception:
    """The INVALID fault where findings are errors (`error=true`)."""
    every = tuple(Finding(finding.rule.name, finding.detail, finding.line) for finding in found)
    return invalid(f"lint violation found for rules: {', '.join(sorted({f.rule.name for f in found}))}", *every)
