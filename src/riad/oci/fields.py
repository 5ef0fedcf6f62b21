"""Reads untrusted JSON into values: every accessor names the path of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from riad.kernel.faults import invalid

T = TypeVar("T")


def load_object(data: bytes | str, what: str) -> dict[str, Any]:
    """The JSON object in `data`; raises INVALID naming `what`."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise invalid(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise invalid(f"{what} is not a JSON object")
    return value


def field(source: Mapping[str, Any], name: str, kind: type[T], default: T, *, at: str = "") -> T:
    """`source[name]`, or `default` where it is absent or null. Raises INVALID where it is of another type."""
    value = source.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise invalid(f"{at}{name}: expected {_NAMES.get(kind, kind.__name__)}, found {json.dumps(value)[:60]}")
    return value


def texts(source: Mapping[str, Any], name: str, *, at: str = "") -> tuple[str, ...]:
    """A list of texts; empty where absent or null."""
    found: list[Any] = field(source, name, list, [], at=at)
    if not all(isinstance(item, str) for item in found):
        raise invalid(f"{at}{name}: expected a list of texts")
    return tuple(found)


def text_map(source: Mapping[str, Any], name: str, *, at: str = "") -> dict[str, str]:
    """A map of texts to texts; empty where absent or null."""
    found: dict[str, Any] = field(source, name, dict, {}, at=at)
    if not all(isinstance(value, str) for value in found.values()):
        raise invalid(f"{at}{name}: expected a map of texts")
    return found


_NAMES: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    list: "a list",
    dict: "an object",
    bool: "true or false",
}
