"""`--chmod`: octal, or symbolic as chmod(1) has it (`u+x`, `go-w`, `u=rwX,go=rX`). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from riad.kernel.faults import invalid

Mode = Callable[[int, bool], int]
"""The new permission bits of a thing that had these; the second argument says whether it is a directory."""

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


def parse_mode(text: str) -> Mode:
    """Raises INVALID."""
    if re.fullmatch(r"[0-7]{1,5}", text) and int(text, 8) <= 0o7777:
        fixed = int(text, 8)
        return lambda _, __: fixed
    clauses = [_CLAUSE.fullmatch(clause) for clause in text.split(",")]
    if not text or not all(clauses):
        raise invalid(f"--chmod={text}: expected an octal mode such as 755, or a symbolic one such as u=rwX,go=rX")
    steps = [
        (clause[1] or "a", sign, what) for clause in clauses if clause for sign, what in _ACTION.findall(clause[2])
    ]

    def changed(mode: int, directory: bool) -> int:
        for who, sign, what in steps:
            mode = _step(mode, "ugo" if "a" in who else who, sign, what, directory=directory)
        return mode

    return changed


def _step(mode: int, who: str, sign: str, what: str, *, directory: bool) -> int:
    bits = mask = 0
    for one in who:
        shift = _SHIFTS[one]
        mask |= 7 << shift
        bits |= _wanted(mode, what, directory=directory) << shift
    if "s" in what:
        bits |= (0o4000 if "u" in who else 0) | (0o2000 if "g" in who else 0)
    if "t" in what:
        bits |= 0o1000
    if sign == "+":
        return mode | bits
    if sign == "-":
        return mode & ~bits
    mask |= (0o4000 if "u" in who else 0) | (0o2000 if "g" in who else 0) | (0o1000 if "t" in what else 0)
    return mode & ~(mask if not directory or "s" in what else mask & 0o1777) | bits


def _wanted(mode: int, what: str, *, directory: bool) -> int:
    """The three bits that `what` stands for: letters, or what somebody else has."""
    if what in _SHIFTS:
        return mode >> _SHIFTS[what] & 7
    bits = 0
    for letter in what:
        bits |= _BITS.get(letter, 0)
    if "X" in what and (directory or mode & 0o111):
        bits |= 1
    return bits
