"""The filters of `docker network ls` and `prune`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from riad.engine.dockerapi.filters import Filters, has_label
from riad.engine.dockerapi.volumes import matches_name
from riad.engine.dockerapi.wire import parse_moment
from riad.engine.networks.model import PREDEFINED, Network
from riad.engine.networks.networks import Networks
from riad.kernel.clock import Clock
from riad.kernel.faults import invalid

LIST_FILTERS = ("dangling", "driver", "id", "idOrName", "label", "name", "scope", "type")
PRUNE_FILTERS = ("label", "label!", "until")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def matches(network: Network, filters: Filters, networks: Networks) -> bool:
    """Raises INVALID for a value that the filter does not have."""
    kinds = filters.get("type")
    for kind in kinds:
        if kind not in ("custom", "builtin"):
            raise invalid(f"invalid filter: 'type'='{kind}'")
    dangling = filters.flag("dangling")
    is_custom = network.name not in PREDEFINED
    in_use = not is_custom or bool(networks.endpoints_in(network))
    return (
        (dangling is None or dangling is not in_use)
        and filters.exact("driver", network.driver.value)
        and filters.exact("scope", "local")
        and (not kinds or ("custom" if is_custom else "builtin") in kinds)
        and (not filters.get("id") or any(network.id.startswith(wanted) for wanted in filters.get("id")))
        and filters.labels(network.labels)
        and (not filters.get("idOrName") or any(_is_called(network, each) for each in filters.get("idOrName")))
        and matches_name(filters.get("name"), network.name)
    )


def _is_called(network: Network, reference: str) -> bool:
    return network.name == reference or network.id.startswith(reference)


def prunable(network: Network, filters: Filters, before: datetime | None, networks: Networks) -> bool:
    unwanted = any(has_label(network.labels, label) for label in filters.get("label!"))
    return (
        network.name not in PREDEFINED
        and not networks.endpoints_in(network)
        and (before is None or datetime.fromisoformat(network.created) < before)
        and filters.labels(network.labels)
        and not unwanted
    )


def until(wanted: tuple[str, ...], clock: Clock) -> datetime | None:
    """A moment, or a duration before now such as 1h30m."""
    if not wanted:
        return None
    if len(wanted) > 1:
        raise invalid("more than one until filter specified")
    parts = _DURATION.findall(wanted[0])
    if parts and "".join(number + unit for number, unit in parts) == wanted[0]:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        return clock.now() - timedelta(seconds=seconds)
    at = parse_moment(wanted[0], name="until")
    return at.astimezone(UTC) if at else None
