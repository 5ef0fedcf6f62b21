"""Job logs as HTML: ANSI colours (ECMA-48 SGR) and GitLab's collapsible sections; pure.

A log is rendered in pieces, as it grows. `State` is everything that carries over from one piece to the next, so that a
page can hand it back with its next question. Rules:
- a row is a line up to its newline; an unfinished line is rendered as `tail`, to be replaced by the next piece;
- within a line a carriage return begins it anew (progress bars), `ESC[K` is what clears it before that;
- `section_start:TIME:NAME[collapsed=true]` and `section_end:TIME:NAME` open and close a section; what follows the first
  on its line is the section's header;
- every other escape sequence is dropped, and so is every control character but the tab;
- colours are classes (a page may not carry style attributes): the 16 and the 256 by number, 24-bit ones as the nearest
  of the 256.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape

MAX_LINE = 20_000
MAX_DEPTH = 8

_ESCAPE = re.compile(
    r"\x1b\[([0-9;:]*)m"  # SGR
    r"|\x1b\[[0-9;:?<=>]*[ -/]*[@-~]"  # any other control sequence
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # operating system commands: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)"  # strings for devices
    r"|\x1b[ -/]*[0-~]?"  # two-character sequences, and an escape at the end
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x80-\x9f]"
)
_SECTION = re.compile(r"section_(start|end):(\d{1,19}):([A-Za-z0-9._-]{1,200})(?:\[([^\]]{0,200})\])?\r?(?:\x1b\[0K)?")


@dataclass(frozen=True, slots=True)
class Style:
    """`fore` and `back` are palette numbers 0–255; None is the page's own colour."""

    fore: int | None = None
    back: int | None = None
    marks: frozenset[str] = frozenset()

    def classes(self) -> str:
        fore, back = (self.back, self.fore) if "inverse" in self.marks else (self.fore, self.back)
        if "inverse" in self.marks:
            fore, back = (0 if fore is None else fore), (7 if back is None else back)
        names = [f"f{fore}"] if fore is not None else []
        names += [f"b{back}"] if back is not None else []
        return " ".join(names + sorted(self.marks - {"inverse"}))


@dataclass(frozen=True, slots=True)
class Section:
    """`id` counts the sections of a log from 1; `began` in seconds since 1970."""

    id: int
    name: str
    began: int


@dataclass(frozen=True, slots=True)
class State:
    line: int = 0
    sections: int = 0
    style: Style = Style()
    open: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """`html` is safe. `number` counts from 1. `opens`: this is the header of that section. `within` names the sections
    around it, outermost first."""

    number: int
    html: str
    within: tuple[int, ...]
    opens: int | None = None
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """The section took this many seconds."""

    id: int
    seconds: int


@dataclass(slots=True)
class Rendered:
    """`taken` bytes of the text are in `rows`; `tail` is the unfinished line after them, to be sent again."""

    rows: list[Row] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    tail: Row | None = None
    taken: int = 0
    state: State = State()


def render(data: bytes, state: State = State(), *, ended: bool = False) -> Rendered:
    """`ended`: nothing will follow, so that an unfinished last line is a line."""
    made = Rendered(state=state)
    end = len(data) if ended else data.rfind(b"\n") + 1
    made.taken = end
    for raw in _lines(data[:end]):
        _render_line(raw, made)
    if not ended and end < len(data):
        rest = Rendered(state=made.state)
        _render_line(data[end:].decode(errors="replace"), rest)
        made.tail = rest.rows[-1] if rest.rows else None
    return made


def _lines(data: bytes) -> Iterator[str]:
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return (line.decode(errors="replace") for line in lines)


def _render_line(line: str, made: Rendered) -> None:
    header: Section | None = None
    collapsed = False
    text = ""
    place = 0
    for mark in _SECTION.finditer(line):
        text += line[place : mark.start()]
        place = mark.end()
        kind, at, name, options = mark[1], int(mark[2]), mark[3], mark[4] or ""
        if kind == "end":
            _close(made, name, at)
        elif len(made.state.open) < MAX_DEPTH:
            header = _open(made, name, at)
            collapsed = "collapsed=true" in options
    text += line[place:]
    if place and not text.strip("\r") and header is None:
        return  # a line that only closed something
    _add_row(made, text, header, collapsed=collapsed)


def _open(made: Rendered, name: str, at: int) -> Section:
    state = made.state
    section = Section(state.sections + 1, name, at)
    made.state = replace(state, sections=section.id, open=(*state.open, section))
    return section


def _close(made: Rendered, name: str, at: int) -> None:
    """Closes the section and whatever was left open in it; an unknown name closes nothing."""
    names = [section.name for section in made.state.open]
    if name not in names:
        return
    place = len(names) - 1 - names[::-1].index(name)
    made.closed += [Closed(section.id, max(0, at - section.began)) for section in made.state.open[place:]]
    made.state = replace(made.state, open=made.state.open[:place])


def _add_row(made: Rendered, text: str, header: Section | None, *, collapsed: bool) -> None:
    html, style = _coloured(_overwritten(text)[:MAX_LINE], made.state.style)
    number = made.state.line + 1
    around = tuple(section.id for section in made.state.open if header is None or section.id < header.id)
    made.rows.append(Row(number, html, around, header.id if header else None, collapsed))
    made.state = replace(made.state, line=number, style=style)


def _overwritten(text: str) -> str:
    """What is left of a line whose beginning was written over. Colours set before count on."""
    parts = [part for part in text.rstrip("\r").split("\r") if part]
    if len(parts) < 2:
        return "".join(parts)
    colours = "".join(found[0] for part in parts[:-1] for found in _ESCAPE.finditer(part) if found[1] is not None)
    return colours + parts[-1]


def _coloured(text: str, style: Style) -> tuple[str, Style]:
    pieces: list[str] = []
    place = 0
    for found in _ESCAPE.finditer(text):
        pieces.append(_span(text[place : found.start()], style))
        place = found.end()
        if found[1] is not None:
            style = apply(style, found[1])
    pieces.append(_span(text[place:], style))
    return "".join(pieces), style


def _span(text: str, style: Style) -> str:
    if not text:
        return ""
    classes = style.classes()
    shown = escape(text)
    return f'<span class="{classes}">{shown}</span>' if classes else shown


_SET = {1: "bold", 2: "faint", 3: "italic", 4: "under", 7: "inverse", 8: "hidden", 9: "strike", 21: "under"}
_UNSET = {
    22: frozenset({"bold", "faint"}),
    23: frozenset({"italic"}),
    24: frozenset({"under"}),
    27: frozenset({"inverse"}),
    28: frozenset({"hidden"}),
    29: frozenset({"strike"}),
}


def apply(style: Style, parameters: str) -> Style:
    """One SGR sequence: its numbers separated by semicolons (or colons within a colour)."""
    numbers = iter([int(part) if part and len(part) < 6 else 0 for part in re.split("[;:]", parameters)])
    for number in numbers:
        style = _apply_one(style, number, numbers)
    return style


def _apply_one(style: Style, number: int, rest: Iterator[int]) -> Style:
    if number == 0:
        return Style()
    if number in _SET:
        return replace(style, marks=style.marks | {_SET[number]})
    if number in _UNSET:
        return replace(style, marks=style.marks - _UNSET[number])
    if number in (38, 48):
        colour = _extended(rest)
        return replace(style, fore=colour) if number == 38 else replace(style, back=colour)
    if 30 <= number <= 37 or 90 <= number <= 97:
        return replace(style, fore=number - 30 if number < 90 else number - 82)
    if 40 <= number <= 47 or 100 <= number <= 107:
        return replace(style, back=number - 40 if number < 100 else number - 92)
    if number == 39:
        return replace(style, fore=None)
    return replace(style, back=None) if number == 49 else style


def _extended(rest: Iterator[int]) -> int | None:
    match next(rest, None):
        case 5:
            return min(next(rest, 0), 255)
        case 2:
            red, green, blue = (min(next(rest, 0), 255) for _ in range(3))
            return nearest(red, green, blue)
    return None


_LEVELS = (0, 95, 135, 175, 215, 255)


def nearest(red: int, green: int, blue: int) -> int:
    """The entry of the 256-colour palette nearest to a 24-bit colour: of its cube or of its greys."""
    cube = [min(range(6), key=lambda i, v=value: abs(_LEVELS[i] - v)) for value in (red, green, blue)]  # type: ignore[misc]
    in_cube = 16 + 36 * cube[0] + 6 * cube[1] + cube[2]
    grey = 232 + max(0, min(23, round(((red + green + blue) / 3 - 8) / 10)))
    wanted = (red, green, blue)
    return min((in_cube, grey), key=lambda n: sum((a - b) ** 2 for a, b in zip(palette(n), wanted, strict=True)))


_BASE = (
    *("16181d", "e2574a", "42b078", "d1a134", "5b9ee6", "b57ad6", "3fb5b5", "c8c8c4"),
    *("7d828a", "ff7a6b", "63d69b", "efc75e", "85bcff", "d3a0f0", "6bd8d8", "ffffff"),
)


def palette(number: int) -> tuple[int, int, int]:
    if number < 16:
        text = _BASE[number]
        return int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)
    if number >= 232:
        level = 8 + 10 * (number - 232)
        return level, level, level
    number -= 16
    return _LEVELS[number // 36], _LEVELS[number // 6 % 6], _LEVELS[number % 6]


def stylesheet() -> str:
    """The palette's classes."""
    rules = []
    for number in range(256):
        red, green, blue = palette(number)
        rules.append(f".log .f{number}{{color:#{red:02x}{green:02x}{blue:02x}}}")
        rules.append(f".log .b{number}{{background:#{red:02x}{green:02x}{blue:02x}}}")
    return "\n".join(rules)
