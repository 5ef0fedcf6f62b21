"""What is known of a container's health, kept in a file of its own: it changes with every probe, and outlives us."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from riad.engine.containers.codec import from_json, to_json

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
_KEPT = 5
_FILE = "health.json"


@dataclass(frozen=True, slots=True)
class Probe:
    """`code` is the command's exit code, -1 where it did not run or took too long."""

    began: datetime
    ended: datetime
    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`counted_at` is when the last failure that counts was, in seconds since the container's start."""

    status: str = STARTING
    streak: int = 0
    counted_at: float | None = None


@dataclass(slots=True)
class Health:
    """What is known of one container; the last probes, oldest first."""

    verdict: Verdict = Verdict()
    log: deque[Probe] = field(default_factory=lambda: deque(maxlen=_KEPT))


def save(folder: Path, health: Health) -> None:
    """Nothing where the container is being removed. A full disk costs the memory, not the container."""
    text = json.dumps({"verdict": to_json(health.verdict), "log": [to_json(probe) for probe in health.log]})
    part = folder / (_FILE + ".tmp")
    with contextlib.suppress(OSError):
        part.write_text(text)
        os.replace(part, folder / _FILE)


def load(folder: Path) -> Health | None:
    """None where nothing was saved, or what was saved cannot be read."""
    try:
        found = json.loads((folder / _FILE).read_text())
        log = deque((from_json(Probe, probe) for probe in found["log"]), maxlen=_KEPT)
        return Health(from_json(Verdict, found["verdict"]), log)
    except (OSError, ValueError, TypeError, KeyError):
        return None
