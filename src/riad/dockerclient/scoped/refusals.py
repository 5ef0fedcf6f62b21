"""Walking through a client's JSON document: what is known is taken over, what is not is refused by name. Pure.

Go decodes field names whatever their case, so a field that is not exactly known is never passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from riad.kernel.faults import denied, invalid

Check = Callable[[Any, str], Any]
"""Takes a field's value and its path; gives the value to pass on. Raises DENIED or INVALID."""


def empty(value: object) -> bool:
    """Whether Go would take it for a field that was not given."""
    return value in (None, False, 0, "", [], {})


def mapping(value: object, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"riad: {path or 'the body'} is not an object")
    return value


def texts(value: object, path: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise invalid(f"riad: {path} is not a list of texts")
    return value


def objects(value: object, path: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise invalid(f"riad: {path} is not a list of objects")
    return [mapping(entry, path) for entry in value]


def taken(document: Mapping[str, Any], checks: Mapping[str, Check], path: str) -> dict[str, Any]:
    """The document with only its known fields, each checked. A field that is not known may only be empty."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        where = f"{path}.{name}" if path else name
        if name in checks:
            found[name] = checks[name](value, where)
        elif not empty(value):
            raise denied(f"riad: a job's containers cannot set {where}")
    return found


def free(value: Any, _: str) -> Any:
    """Anything goes."""
    return value


def only(*allowed: Any, instead: str = "") -> Check:
    """One of these, or nothing."""

    def check(value: Any, path: str) -> Any:
        if empty(value) or any(type(value) is type(good) and value == good for good in allowed):
            return value
        raise denied(
            f"riad: a job's containers cannot set {path} to {shown(value)}" + (f"; {instead}" if instead else "")
        )

    return check


def nothing(instead: str = "") -> Check:
    return only(instead=instead)


def shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return f'"{text[:100]}"'
