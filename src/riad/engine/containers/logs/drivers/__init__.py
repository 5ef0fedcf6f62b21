"""The places outside that logs are delivered to, one file each; `deliver` in the package above does the work.

A sink's `open` says at a container's start whether the place is there; `send` delivers messages or raises OSError, and
is then called again with the same ones after a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from riad.engine.containers.logs.attributes import Subject


@dataclass(frozen=True, slots=True)
class Message:
    """One line without its line feed. `moment` is nanoseconds since the epoch; `partial` when the line goes on."""

    text: bytes
    moment: int
    stderr: bool = False
    partial: bool = False


class Sink(Protocol):
    async def open(self) -> None:
        """Raises OSError or a Fault where the place cannot be reached."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Raises OSError where it cannot be reached any more: some of the messages may have arrived."""

    def close(self) -> None:
        """May be called twice."""


def sink(driver: str, options: Mapping[str, str], subject: Subject) -> Sink | None:
    """None for the drivers that deliver nowhere. Raises INVALID for odd options."""
    from riad.engine.containers.logs.drivers.journald import Journal
    from riad.engine.containers.logs.drivers.syslog import Syslog

    match driver:
        case "journald":
            return Journal(options, subject)
        case "syslog":
            return Syslog(options, subject)
    return None
