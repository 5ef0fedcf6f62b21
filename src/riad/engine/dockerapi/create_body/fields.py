"""What the readers of all groups share: where a field is, and the bounds of its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riad.kernel.faults import invalid, unsupported
from riad.oci.fields import field

Json = Mapping[str, Any]
AT = "HostConfig/"


def refuse_unknown(source: Json, known: frozenset[str], at: str) -> None:
    """Raises UNSUPPORTED for a field that is not `known` and asks for something."""
    for name, value in source.items():
        if name not in known and value not in (None, "", 0, False, [], {}) and value != -1:
            raise unsupported(f"{at}{name} is not supported by this engine")


def objects(body: Json, name: str) -> list[tuple[int, dict[str, Any]]]:
    """The list `name` with its indexes. Raises INVALID where a member is not an object."""
    items: list[Any] = field(body, name, list, [], at=AT)
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise invalid(f"{AT}{name}/{index}: expected an object")
    return list(enumerate(items))


def positive(body: Json, name: str) -> int:
    """A whole number that is not negative; 0 where absent."""
    value = field(body, name, int, 0, at=AT)
    if value < 0:
        raise invalid(f"{AT}{name}: {value} is negative")
    return value


def within(body: Json, name: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`; 0 where absent."""
    value = field(body, name, int, 0, at=AT)
    if not low <= value <= high:
        raise invalid(f"Invalid value {value}, range for {name} is [{low}, {high}]")
    return value
