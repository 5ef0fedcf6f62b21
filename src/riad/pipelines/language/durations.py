"""Lengths of time as GitLab's YAML says them: `3 hours 30 minutes`, `1h30m`, `2 weeks and 1 day`, `90` (seconds).

A month counts 30 days, a year 365.25 (as the `chronic_duration` format that GitLab documents).
"""

from __future__ import annotations

import re

_UNITS = {
    1: ("s", "sec", "secs", "second", "seconds"),
    60: ("m", "min", "mins", "minute", "minutes"),
    3600: ("h", "hr", "hrs", "hour", "hours"),
    86400: ("d", "day", "days"),
    604800: ("w", "wk", "wks", "week", "weeks"),
    2592000: ("mo", "mos", "mon", "mons", "month", "months"),
    31557600: ("y", "yr", "yrs", "year", "years"),
}
_SECONDS = {name: seconds for seconds, names in _UNITS.items() for name in names}
_PART = re.compile(r"\s*(?:,|and\b)?\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})")


def seconds(text: str) -> int | None:
    """The length in whole seconds, or None where `text` is no length of time."""
    text = text.strip()
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, rest = (int(part or 0) for part in clock.groups())
        return hours * 3600 + minutes * 60 + rest
    total = 0.0
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            return None
        unit = part[2].lower() or "s"
        if unit not in _SECONDS:
            return None
        total += float(part[1]) * _SECONDS[unit]
        position = part.end()
    return int(total) if text and total < 1e11 else None
