"""`.dockerignore`: which paths of a build context are left out.

Rules (Dockerfile reference, ".dockerignore file"): one pattern a line; `#` at the very start is a comment; patterns
are cleaned as paths and relative to the context's root; `*`, `?`, `[…]` stop at slashes, `**` does not; a pattern also
takes everything below what it matches; `!` brings paths back; the last matching pattern decides.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

_RANGE_OR_CHARACTER = re.compile("(.)(?:-(.))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pattern:
    """`line` counts from 1; `text` is as written, for messages; `path` is it cleaned, without `!`."""

    line: int
    text: str
    negated: bool
    matcher: re.Pattern[str]
    path: str = ""

    @property
    def spelled(self) -> str:
        """In its shortest form, for somebody else who matches by it."""
        return f"!{self.path}" if self.negated else self.path


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    patterns: tuple[Pattern, ...]
    _matches: dict[str, int] = field(default_factory=dict, compare=False)

    def excludes(self, path: str) -> bool:
        """Whether `path` (relative, slashes, no leading one) is left out."""
        return self.deciding(path) is not None

    def deciding(self, path: str) -> Pattern | None:
        """The pattern that leaves `path` out; None where it stays in."""
        if not self.patterns:
            return None
        matched = self._matching(path)
        verdict = None
        for number, pattern in enumerate(self.patterns):
            if matched >> number & 1:
                verdict = None if pattern.negated else pattern
        return verdict

    def _matching(self, path: str) -> int:
        """One bit for each pattern that matches `path` or a folder above it."""
        known = self._matches.get(path)
        if known is None:
            parent = posixpath.dirname(path)
            known = self._matching(parent) if parent and parent != path else 0
            for number, pattern in enumerate(self.patterns):
                if not known >> number & 1 and pattern.matcher.fullmatch(path):
                    known |= 1 << number
            self._matches[path] = known
        return known


def parse_ignore(text: str) -> IgnoreFile:
    """Never fails: a pattern that is no valid expression matches only itself, as a plain name."""
    found: list[Pattern] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if line.startswith("#") or not line.strip():
            continue
        written = line.strip()
        negated = written.startswith("!")
        cleaned = posixpath.normpath(written[1:].strip() if negated else written).lstrip("/")
        if not cleaned or cleaned == "." or (negated and not written[1:].strip()):
            continue
        found.append(Pattern(number, written, negated, compile_pattern(cleaned), cleaned))
    return IgnoreFile(tuple(found))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A path pattern with `*`, `**`, `?`, `[…]` and backslash escapes as a regular expression for whole paths."""
    try:
        return re.compile(_expression(pattern), re.DOTALL)
    except (re.error, OverflowError):
        return re.compile(re.escape(pattern))


def _expression(pattern: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        c = pattern[at]
        at += 1
        if c == "*" and pattern[at : at + 1] == "*":
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
            out.append(".*" if at >= len(pattern) else "(?:.*/)?")
        elif c == "*":
            out.append("[^/]*")
        elif c == "?":
            out.append("[^/]")
        elif c == "[":
            piece, at = _class(pattern, at)
            out.append(piece)
        elif c == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(c))
    return "".join(out)


def _class(pattern: str, at: int) -> tuple[str, int]:
    """A `[…]` set from just behind its bracket; a bracket that never closes is a plain character."""
    end = pattern.find("]", at + 1)
    if end < 0:
        return re.escape("["), at
    inner = pattern[at:end]
    negated = inner[:1] in ("^", "!")
    body = _RANGE_OR_CHARACTER.sub(_escaped, inner[1:] if negated else inner)
    return f"(?!/)[{'^' if negated else ''}{body}]", end + 1


def _escaped(piece: re.Match[str]) -> str:
    """Only the hyphen of a range has a meaning between a set's brackets."""
    return "-".join(re.escape(end) for end in piece.groups() if end)
