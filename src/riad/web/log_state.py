"""The renderer's state as text that a page hands back with its next question. It comes from strangers: any damage
makes it None, and the log is rendered from its beginning."""

from __future__ import annotations

import json
from typing import Any

from riad.web.ansi import MAX_DEPTH, Section, State, Style

_MARKS = frozenset({"bold", "faint", "italic", "under", "inverse", "hidden", "strike"})


def to_text(offset: int, state: State) -> str:
    style = state.style
    opened = [[section.id, section.name, section.began] for section in state.open]
    return json.dumps(
        [offset, state.line, state.sections, style.fore, style.back, sorted(style.marks), opened],
        separators=(",", ":"),
    )


def from_text(text: str) -> tuple[int, State] | None:
    """The offset in bytes, and the state there."""
    try:
        offset, line, sections, fore, back, marks, opened = json.loads(text[:4000])
        made = State(
            line=_count(line),
            sections=_count(sections),
            style=Style(_colour(fore), _colour(back), _MARKS & frozenset(marks)),
            open=tuple(Section(_count(i), str(name)[:200], _count(began)) for i, name, began in opened[:MAX_DEPTH]),
        )
        return _count(offset), made
    except (ValueError, TypeError, RecursionError):
        return None


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 60:
        raise ValueError("not a count")
    return value


def _colour(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value <= 255):
        raise ValueError("not a colour")
    return value
