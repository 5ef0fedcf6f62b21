"""conmon's log format: `TIME STREAM MARK TEXT`, one entry a line. Pure.

TIME is RFC 3339 with nine digits and an offset (conmon runs in UTC, so `+00:00`), STREAM `stdout` or `stderr`, MARK
`F`, or `P` for a line that goes on in its stream's next entry: the text before TEXT has always the same length. conmon
reads 8 KiB at a time, so a busy container has a `P` every few dozen lines. Lines of a terminal keep their carriage
return. What a container writes last without a line feed stays a `P`.
"""

from __future__ import annotations

import re
from calendar import timegm
from dataclasses import dataclass
from time import strptime

STDOUT, STDERR = 1, 2
PREFIX = 45
"""Bytes before TEXT."""
KINDS = {
    b" stdout F ": (STDOUT, False),
    b" stdout P ": (STDOUT, True),
    b" stderr F ": (STDERR, False),
    b" stderr P ": (STDERR, True),
}
_PARTS = {
    name: re.compile(rb"(?m)^(.{35} " + name + rb") P ([^\n]*)\n.{35} " + name + rb" ([FP]) ")
    for name in (b"stdout", b"stderr")
}


@dataclass(frozen=True, slots=True)
class Entry:
    """`time` as written; `text` ends with a line feed unless `partial`."""

    time: bytes
    stream: int
    partial: bool
    text: bytes

    @property
    def nanoseconds(self) -> int:
        """Since the epoch."""
        return nanoseconds(self.time)


def parse(line: bytes) -> Entry | None:
    """One line of the file, without its line feed; None for what is not an entry."""
    kind = KINDS.get(line[35:45])
    if kind is None or line[10:11] != b"T":
        return None
    stream, partial = kind
    return Entry(line[:35], stream, partial, line[PREFIX:] if partial else line[PREFIX:] + b"\n")


def nanoseconds(time: bytes) -> int:
    """`2024-01-01T00:00:00.000000001+00:00` → nanoseconds since the epoch; 0 for what is no time."""
    try:
        seconds = timegm(strptime(time[:19].decode(), "%Y-%m-%dT%H:%M:%S"))
        offset = int(time[30:32]) * 3600 + int(time[33:35]) * 60
        return (seconds + (offset if time[29:30] == b"-" else -offset)) * 10**9 + int(time[20:29])
    except ValueError:
        return 0


def stamp(time: bytes) -> bytes:
    """The time in UTC with `Z`, as `docker logs -t` prints it."""
    if time.endswith(b"+00:00"):
        return time[:29] + b"Z"
    seconds, rest = divmod(nanoseconds(time), 10**9)
    return _utc(seconds) + b".%09dZ" % rest


def written(moment: int) -> bytes:
    """Nanoseconds since the epoch as conmon would write them in UTC: such texts sort as the times do."""
    seconds, rest = divmod(moment, 10**9)
    return _utc(seconds) + b".%09d" % rest


def _utc(seconds: int) -> bytes:
    from time import gmtime, strftime

    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds)).encode()


def join_parts(block: bytes) -> bytes:
    """Puts each part of a line together with the one right behind it, so that few entries stay partial."""
    for name, pattern in _PARTS.items():
        if b" " + name + b" P " in block:
            block = pattern.sub(rb"\1 \3 \2", block)
    return block


def is_partial(line: bytes) -> bool:
    return line[43:44] == b"P" and line[35:45] in KINDS
