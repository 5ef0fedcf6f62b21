"""`coverage: /…/`: the number that the last line of the log that matches holds."""

from __future__ import annotations

import re

from riad.pipelines.language import regexes

MAX_LINE = 2000
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def coverage_of(log: str, pattern: str) -> float | None:
    """In percent. Of the pattern's first group where it has one, else of the text that matched."""
    regex = regexes.literal(pattern)
    for line in reversed(log.splitlines()):
        found = regex.search(_ANSI.sub("", line[:MAX_LINE]))
        if found is not None and (number := _NUMBER.search(found)) is not None:
            return float(number[0])
    return None
