"""How GitLab writes moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def moment(at: datetime) -> str: ...
@overload
def moment(at: None) -> None: ...
@overload
def moment(at: datetime | None) -> str | None: ...
def moment(at: datetime | None) -> str | None:
    """`2026-01-02T03:04:05.678Z`."""
    if at is None:
        return None
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def local(at: datetime) -> str:
    """With its own offset, as commits have it: `2026-01-02T03:04:05.000+01:00`."""
    return at.isoformat(timespec="milliseconds")
