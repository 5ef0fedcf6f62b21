"""How a Dockerfile's mistakes are worded: Docker's sentences, because clients show and search them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from riad.kernel.faults import Fault, Finding, invalid


class Mistake(Exception):  # noqa: N818 -- becomes a Fault as soon as its line is known
    """Something wrong with one statement, before its line is known."""


def at_line(line: int, message: str) -> Fault:
    """The INVALID fault that names the line, in Docker's words."""
    return invalid(f"dockerfile parse error on line {line}: {message}", Finding("", message, line))


def suggestion(word: str, known: Iterable[str]) -> str:
    """` (did you mean FROM?)`, or nothing where no known word is near."""
    names = list(known)
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return f" (did you mean {folded[near[0]]}?)" if near else ""
