"""What a volume is, and which names volumes may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from riad.kernel.faults import invalid, not_found

ANONYMOUS = "com.docker.volume.anonymous"
"""The label of volumes that nobody named; `docker volume prune` takes them without being asked twice."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Volume:
    """Files live in `mountpoint` until somebody asks for their removal."""

    name: str
    mountpoint: Path
    created_at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the local driver: what is mounted on `mountpoint` while containers use it."""

    @property
    def is_anonymous(self) -> bool:
        return ANONYMOUS in self.labels


def check_name(name: str) -> None:
    """Raises INVALID with Docker's sentences."""
    if len(name) == 1:
        raise invalid(f"create {name}: volume name is too short, names should be at least two alphanumeric characters")
    if not _NAME.fullmatch(name) or len(name) > 255:
        raise invalid(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only'
            ' "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )


def check_driver(name: str, driver: str) -> None:
    """There is the local driver only. Raises NOT_FOUND as Docker."""
    if driver not in ("", "local"):
        raise not_found(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
