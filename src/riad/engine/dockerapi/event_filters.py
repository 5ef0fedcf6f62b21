"""The filters of `docker events`, as dockerd has them: all names must hold, of each name one value. Pure."""

from __future__ import annotations

from riad.engine.dockerapi.filters import Filters, has_label
from riad.engine.events import Event
from riad.kernel.faults import Fault
from riad.oci.reference import parse_reference

KNOWN = frozenset(
    [
        "config",
        "container",
        "daemon",
        "event",
        "image",
        "label",
        "network",
        "node",
        "plugin",
        "scope",
        "secret",
        "service",
        "type",
        "volume",
    ]
)
_BY_NAME = ("config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume")
_WITH_DETAIL = frozenset({"health_status", "exec_create", "exec_start"})
"""Actions whose detail follows a colon: asked for bare, they mean any detail."""


def matches(event: Event, filters: Filters) -> bool:
    """Names and ids may be given by their beginning; `image=` also means the containers made of it."""
    return (
        filters.exact("type", event.kind)
        and filters.exact("scope", "local")
        and _action(event, filters)
        and all(has_label(event.attributes, text) for text in filters.get("label"))
        and all(_subject(event, filters.get(name)) for name in _BY_NAME if name in filters)
        and ("image" not in filters or _image(event, filters.get("image")))
    )


def _action(event: Event, filters: Filters) -> bool:
    wanted = filters.get("event")
    if any(text in _WITH_DETAIL for text in wanted):
        return event.action.startswith(wanted)
    return not wanted or event.action in wanted


def _subject(event: Event, wanted: tuple[str, ...]) -> bool:
    return event.subject.startswith(wanted) or event.attributes.get("name", "").startswith(wanted)


def _image(event: Event, wanted: tuple[str, ...]) -> bool:
    name = event.attributes.get("name" if event.kind == "image" else "image", "")
    return any(text in wanted for text in (event.subject, name, _untagged(event.subject), _untagged(name)))


def _untagged(name: str) -> str:
    """`debian:12` → `debian`; what is no reference stays."""
    try:
        return parse_reference(name).familiar_repository
    except Fault:
        return name
