"""When a request to a registry is made again, and after how long. Pure."""

from __future__ import annotations

from riad.engine.images.registry.errors import Refusal, Unreachable

_FIRST = 0.2  # seconds, doubled after each attempt
_LONGEST = 5.0


def worth_another_try(error: Exception) -> bool:
    """A broken line, a server in trouble or one that is asked too much: all of these pass."""
    return passes(error.status) if isinstance(error, Refusal) else isinstance(error, Unreachable)


def passes(status: int) -> bool:
    """Whether an answer of this HTTP status may be another one soon."""
    return status in (408, 429) or (status >= 500 and status not in (501, 505, 507))


def pause(attempt: int) -> float:
    """In seconds, after the attempt of this number (from 1)."""
    return float(min(_LONGEST, _FIRST * 2 ** (attempt - 1)))
