"""Path patterns as Ruby's `File.fnmatch` with PATHNAME, DOTMATCH and EXTGLOB reads them (what GitLab uses).

`*` and `?` stay inside one folder, `**/` is any number of folders, `{a,b}` are alternatives, `[a-z]` a character set.
"""

from __future__ import annotations

import re
from functools import lru_cache


def matches(pattern: str, path: str) -> bool:
    return _regex(pattern).fullmatch(path) is not None


def selects(pattern: str, path: str) -> bool:
    """Whether `pattern` names `path` or a folder above it (an artifact path that is a folder means all inside)."""
    pattern = pattern.removeprefix("./").rstrip("/")
    if pattern in ("", "."):
        return True
    parts = path.split("/")
    regex = _regex(pattern)
    return any(regex.fullmatch("/".join(parts[:n])) for n in range(1, len(parts) + 1))


def fixed_part(pattern: str) -> str:
    """The folders before the first wildcard: where a search for `pattern` has to begin."""
    pattern = pattern.removeprefix("./").rstrip("/")
    kept: list[str] = []
    for part in pattern.split("/"):
        if re.search(r"[*?\[{\\]", part):
            break
        kept.append(part)
    return "/".join(kept)


def problem(pattern: str) -> str | None:
    """Why this is no pattern for a path inside the project, or None."""
    if pattern.startswith("/"):
        return "a path starts in the project's folder, not with `/`"
    if ".." in pattern.split("/"):
        return "a path cannot leave the project's folder"
    if len(pattern) > 1000:
        return "longer than 1000 characters"
    return None


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(_translate(pattern), re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))  # an odd character set matches itself, as in a shell


def _translate(pattern: str) -> str:
    out: list[str] = []
    depth = 0
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        starts_part = at == 0 or pattern[at - 1] in "/{,"
        if starts_part and pattern.startswith("**/", at):
            out.append("(?:[^/]+/)*")
            at += 3
            while pattern.startswith("**/", at):
                at += 3
            continue
        if starts_part and pattern[at:] == "**":
            out.append(".*")  # Go's doublestar, which finds artifacts, crosses folders at the end of a pattern
            break
        if letter == "*":
            if not out or out[-1] != "[^/]*":
                out.append("[^/]*")
        elif letter == "?":
            out.append("[^/]")
        elif letter == "[" and (end := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append("[^" + inside[1:] + "]" if inside[0] in "!^" else f"[{inside}]")
            at = end
        elif letter == "{" and "}" in pattern[at:]:
            out.append("(?:")
            depth += 1
        elif letter == "}" and depth:
            out.append(")")
            depth -= 1
        elif letter == "," and depth:
            out.append("|")
        elif letter == "\\" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        else:
            out.append(re.escape(letter))
        at += 1
    return "".join(out) + ")" * depth
