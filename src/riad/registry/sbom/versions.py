"""Which of two versions is the newer, by the rules of each ecosystem. Pure.

Debian and Ubuntu: deb-version(7); Alpine near enough the same; PyPI: PEP 440; npm: Semantic Versioning 2.0.0.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Any

_PEP440 = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>a|alpha|b|beta|c|rc|pre|preview)[-_.]?(?P<pre_n>\d*))?"
    r"(?:-(?P<post_only>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n>\d*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>\d*))?(?:\+[a-z0-9._-]+)?",
    re.IGNORECASE,
)
_SEMVER = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


def compare(ecosystem: str, left: str, right: str) -> int:
    """Negative where `left` is the older, 0 where they are the same."""
    match ecosystem.partition(":")[0]:
        case "PyPI":
            return _by_key(_pep440(left), _pep440(right), left, right)
        case "npm":
            return _by_key(_semver(left), _semver(right), left, right)
        case _:
            return debian(left, right)


def debian(left: str, right: str) -> int:
    """[epoch:]upstream[-revision]."""
    for one, other in zip(_parts(left), _parts(right), strict=True):
        found = _debian_part(one, other)
        if found:
            return found
    return 0


def _parts(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.strip().partition(":")
    if not colon:
        epoch, rest = "0", version.strip()
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "0")


def _debian_part(left: str, right: str) -> int:
    """Letters and digits in turns; `~` sorts before everything, even the end."""
    while left or right:
        letters, others = re.match(r"\D*", left), re.match(r"\D*", right)
        assert letters is not None
        assert others is not None
        for one, other in zip_longest(letters[0], others[0], fillvalue=""):
            if _order(one) != _order(other):
                return _order(one) - _order(other)
        left, right = left[letters.end() :], right[others.end() :]
        digits, their = re.match(r"\d*", left), re.match(r"\d*", right)
        assert digits is not None
        assert their is not None
        difference = int(digits[0] or 0) - int(their[0] or 0)
        if difference:
            return difference
        left, right = left[digits.end() :], right[their.end() :]
    return 0


def _order(character: str) -> int:
    if character == "~":
        return -1
    if not character:
        return 0
    return ord(character) if character.isalpha() else ord(character) + 256


def _by_key(left: Any, right: Any, one: str, other: str) -> int:
    if left is None or right is None:
        return debian(one, other)  # no version by its own rules: the most general order there is
    return int(left > right) - int(left < right)


def _pep440(text: str) -> tuple[Any, ...] | None:
    match = _PEP440.fullmatch(text.strip())
    if match is None:
        return None
    release = [int(part) for part in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    has_post = match["post"] or match["post_only"]
    post = int(match["post_n"] or match["post_only"] or 0) if has_post else -1
    if match["pre"]:
        kind = match["pre"].lower()
        pre = ({"alpha": "a", "beta": "b"}.get(kind, kind if kind in ("a", "b") else "rc"), int(match["pre_n"] or 0))
    else:
        # A development release of nothing else comes before all its pre-releases.
        pre = ("", 0) if match["dev"] and not has_post else ("z", 0)
    dev = int(match["dev_n"] or 0) if match["dev"] else 1 << 60
    return (int(match["epoch"] or 0), release, pre, post, dev)


def _semver(text: str) -> tuple[Any, ...] | None:
    match = _SEMVER.fullmatch(text.strip())
    if match is None:
        return None
    numbers = tuple(int(match[place]) for place in (1, 2, 3))
    if match[4] is None:
        return (*numbers, 1, ())
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in match[4].split("."))
    return (*numbers, 0, parts)
