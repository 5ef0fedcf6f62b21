"""The `filters` parameter of lists, in both forms that clients send, with the project's label forced in. Pure."""

from __future__ import annotations

import json

from riad.dockerclient.scoped.scope import SCOPED, Scope
from riad.kernel.faults import denied, invalid


def read(text: str | None) -> dict[str, list[str]]:
    """`{"label": {"a": true}}` or `{"label": ["a"]}`. Raises INVALID."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        raise invalid("riad: filters is not JSON") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise invalid("riad: filters is not an object")
    found = {}
    for key, values in document.items():
        chosen = [v for v, on in values.items() if on is not False] if isinstance(values, dict) else values
        if not isinstance(chosen, list) or not all(isinstance(value, str) for value in chosen):
            raise invalid(f"riad: the filter {key!r} is not a list of texts")
        found[key] = chosen
    return found


def written(filters: dict[str, list[str]]) -> str:
    return json.dumps({key: dict.fromkeys(values, True) for key, values in filters.items()})


def own(text: str | None, scope: Scope) -> str:
    """The client's filters and the project's label: labels are joined by AND."""
    filters = read(text)
    filters["label"] = [*filters.get("label", []), f"{SCOPED}={scope.project}"]
    return written(filters)


def own_events(text: str | None, scope: Scope) -> str:
    """Events of the project's containers. Raises DENIED where only other kinds are asked for: they carry no label."""
    filters = read(text)
    if filters.get("type") and "container" not in filters["type"]:
        raise denied("riad: a job sees the events of its own containers only")
    filters["type"] = ["container"]
    filters["label"] = [*filters.get("label", []), f"{SCOPED}={scope.project}"]
    return written(filters)
