"""The closed set of things that can go wrong, as users and protocols see them.

A domain raises `Fault`; each protocol maps `Kind` to its own status and body in one table that a test proves total.
A message names the thing and the way out. Anything that is not a Fault is a defect and answers as `Kind.INTERNAL`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    INVALID = "invalid"
    DENIED = "denied"
    UNAUTHENTICATED = "unauthenticated"
    UNAVAILABLE = "unavailable"
    UNSUPPORTED = "unsupported"
    EXHAUSTED = "exhausted"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with an input: where (a path such as `test/script`, a line from 1) and what."""

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class Fault(Exception):  # noqa: N818 -- a fault is an expected answer, not an error of the program
    """An expected failure. `findings` carries every finding of a validator, in the order of the input."""

    def __init__(self, kind: Kind, message: str, *, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.findings = findings


def not_found(message: str) -> Fault:
    return Fault(Kind.NOT_FOUND, message)


def conflict(message: str) -> Fault:
    return Fault(Kind.CONFLICT, message)


def invalid(message: str, *findings: Finding) -> Fault:
    return Fault(Kind.INVALID, message, findings=findings)


def denied(message: str) -> Fault:
    return Fault(Kind.DENIED, message)


def unauthenticated(message: str) -> Fault:
    return Fault(Kind.UNAUTHENTICATED, message)


def unavailable(message: str) -> Fault:
    return Fault(Kind.UNAVAILABLE, message)


def unsupported(message: str) -> Fault:
    return Fault(Kind.UNSUPPORTED, message)


def exhausted(message: str) -> Fault:
    return Fault(Kind.EXHAUSTED, message)
