"""From blocks of entries to what a client sees: framed or raw, with times and details, one stream or both. Pure.

Without a terminal each line is one frame, because clients take a frame for a line. Nearly all blocks are of whole lines
only, and those go through one pass that does nothing per line but look up a frame's head by its length; a block with
anything else in it is taken apart entry by entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

from riad.engine.containers.logs.entries import PREFIX, STDERR, STDOUT, parse, stamp

_FRAME = Struct(">BxxxI")
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class View:
    """`details` is what stands before each line, b"" for an empty one and None where it was not asked for."""

    stdout: bool = True
    stderr: bool = True
    times: bool = False
    details: bytes | None = None
    framed: bool = True


class _Heads(dict[int, bytes]):
    """Length of an entry in the file → head of its frame. Those of short lines are remembered."""

    def __init__(self, stream: int, more: int) -> None:
        self._stream = stream
        self._more = more

    def __missing__(self, length: int) -> bytes:
        head = _FRAME.pack(self._stream, length + self._more)
        if length < _REMEMBERED:
            self[length] = head
        return head


@lru_cache(maxsize=16)
def _heads(stream: int, more: int) -> _Heads:
    """Shared by all views of the same form."""
    return _Heads(stream, more)


class Show:
    """One client's view of one log; remembers which streams stand in the middle of a line."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._wanted = {kind for kind, on in ((STDOUT, view.stdout), (STDERR, view.stderr)) if on}
        self._open: set[int] = set()
        before = len(view.details) + 1 if view.details is not None else 0
        more = before + (31 if view.times else 0) - PREFIX + 1
        names = {STDOUT: b"+00:00 stdout F ", STDERR: b"+00:00 stderr F "}
        self._heads = {names[kind]: _heads(kind, more) for kind in self._wanted}

    def __call__(self, block: bytes) -> bytes:
        lines = block.split(b"\n")
        lines.pop()
        if not self._open:
            try:
                return self._whole_lines(lines)
            except KeyError:
                pass
        return b"".join(self._entry(line) for line in lines)

    def _whole_lines(self, lines: list[bytes]) -> bytes:
        """Raises KeyError where there is anything but whole lines of the wanted streams, written in UTC."""
        heads, view = self._heads, self._view
        middle = view.details + b" " if view.details is not None else b""
        if not view.framed:
            for line in lines:
                heads[line[29:PREFIX]]
            if view.times:
                shown = [line[:29] + b"Z " + middle + line[PREFIX:] for line in lines]
            else:
                shown = [middle + line[PREFIX:] for line in lines]
        elif view.times:
            middle = b"Z " + middle
            shown = [heads[line[29:45]][len(line)] + line[:29] + middle + line[45:] for line in lines]
        elif middle:
            shown = [heads[line[29:45]][len(line)] + middle + line[45:] for line in lines]
        else:
            shown = [heads[line[29:45]][len(line)] + line[45:] for line in lines]
        shown.append(b"")
        return b"\n".join(shown)

    def _entry(self, line: bytes) -> bytes:
        entry = parse(line)
        if entry is None or entry.stream not in self._wanted:
            return b""
        text = entry.text
        if entry.stream not in self._open:
            if self._view.details is not None:
                text = self._view.details + b" " + text
            if self._view.times:
                text = stamp(entry.time) + b" " + text
        (self._open.add if entry.partial else self._open.discard)(entry.stream)
        return _FRAME.pack(entry.stream, len(text)) + text if self._view.framed else text
