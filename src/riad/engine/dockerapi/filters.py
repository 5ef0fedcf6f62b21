"""The `filters` parameter, in the docker CLI's form {"label": {"a=b": true}} or docker-py's {"label": ["a=b"]}."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from riad.kernel.faults import invalid


@dataclass(frozen=True, slots=True)
class Filters:
    """What was asked for by name. An absent name matches everything."""

    values: Mapping[str, tuple[str, ...]]

    def __contains__(self, name: str) -> bool:
        return bool(self.values.get(name))

    def get(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def exact(self, name: str, *candidates: str) -> bool:
        """One of the candidates was asked for, or the name was not."""
        wanted = self.get(name)
        return not wanted or any(candidate in wanted for candidate in candidates)

    def flag(self, name: str) -> bool | None:
        """The name as true or false; None where it was not asked for. Raises INVALID for anything else."""
        wanted = self.get(name)
        if not wanted:
            return None
        if all(value.lower() in ("1", "true") for value in wanted):
            return True
        if all(value.lower() in ("0", "false") for value in wanted):
            return False
        raise invalid(f"invalid filter '{name}=[{' '.join(wanted)}]'")

    def labels(self, labels: Mapping[str, str], *, name: str = "label") -> bool:
        """Every `key` or `key=value` that was asked for is there."""
        return all(has_label(labels, wanted) for wanted in self.get(name))


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def parse_filters(text: str | None, *, known: Collection[str]) -> Filters:
    """Reads either form. Raises INVALID for what is not a filter and, naming it, for a filter not in `known`."""
    if not text:
        return Filters({})
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid("invalid filter: not JSON") from None
    if not isinstance(raw, dict):
        raise invalid("invalid filter: not an object")
    for name in raw:
        if name not in known:
            raise invalid(f"invalid filter '{name}'")
    return Filters({name: tuple(_values(name, value)) for name, value in raw.items()})


def _values(name: str, value: object) -> Iterable[str]:
    if isinstance(value, dict):
        return [str(key) for key, on in value.items() if on]
    if isinstance(value, list):
        return [str(item) for item in value]
    raise invalid(f"invalid filter '{name}': neither a list nor an object")
