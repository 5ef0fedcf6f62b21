"""What an examination says: one finding for each thing looked at."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.Enum):
    GOOD = "good"
    NOTE = "note"
    """Works, but an administrator may want to know."""
    WARNING = "warning"
    """Works for now, or not for everything."""
    PROBLEM = "problem"
    """The engine does not work, or not as it says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was looked at, what was `found`, and the way out where it is not good."""

    what: str
    level: Level
    found: str
    advice: str = ""


def good(what: str, found: str) -> Finding:
    return Finding(what, Level.GOOD, found)


def note(what: str, found: str, advice: str) -> Finding:
    return Finding(what, Level.NOTE, found, advice)


def warning(what: str, found: str, advice: str) -> Finding:
    return Finding(what, Level.WARNING, found, advice)


def problem(what: str, found: str, advice: str) -> Finding:
    return Finding(what, Level.PROBLEM, found, advice)
