"""POST /build/prune: taking records out of the build cache."""

from __future__ import annotations

import re

from aiohttp import web

from riad.engine.build.records import MOUNT, STEP, PruneWish, chosen, records
from riad.engine.dockerapi.disk_usage import Disk, only_cached
from riad.engine.dockerapi.filters import Filters, parse_filters
from riad.engine.dockerapi.image_filters import until
from riad.engine.dockerapi.wire import flag, json_response, whole
from riad.kernel.clock import Clock
from riad.kernel.faults import invalid, unsupported

_PARAMETERS = ("all", "filters", "keep-storage")
_FILTERS = (
    "description", "id", "inuse", "label", "label!", "parent", "parents", "private", "shared", "type", "unused-for",
    "until",
)  # fmt: skip


def routes(*, disk: Disk, clock: Clock) -> list[web.RouteDef]:
    async def prune(request: web.Request) -> web.Response:
        for name in request.query:
            if name not in _PARAMETERS:
                raise unsupported(f"build/prune: {name} is not supported; use {', '.join(_PARAMETERS)}")
        wish = read_wish(request, clock)
        sizes = await disk.layers.measured()
        layers = disk.engine.images.layers
        found = await records(disk.cache, disk.builder, layers, sizes=sizes, alone=only_cached(disk))
        doomed = chosen(found, wish)
        freed = await disk.cache.forget([record.key for record in doomed if record.kind == STEP])
        if wish == PruneWish(everything=True):
            disk.cache.forget_empty()
        freed += await disk.builder.clear_cache_mounts({record.key for record in doomed if record.kind == MOUNT})
        return json_response({"CachesDeleted": [record.id for record in doomed], "SpaceReclaimed": freed})

    return [web.post("/build/prune", prune)]


def read_wish(request: web.Request, clock: Clock) -> PruneWish:
    """Raises INVALID for a filter that is none or has more than one value, as dockerd does."""
    filters = parse_filters(request.query.get("filters"), known=_FILTERS)
    if "until" in filters and "unused-for" in filters:
        raise invalid('conflicting filters: "until" and "unused-for"')
    age = _single(filters, "until") or _single(filters, "unused-for")
    return PruneWish(
        everything=flag(request.query, "all"),
        unused_since=until(age, clock.now()) if age else None,
        keep=whole(request.query, "keep-storage", default=0) or 0,
        id=_pattern(_single(filters, "id")),
        kind=_single(filters, "type"),
        description=_single(filters, "description"),
        shared=_shared(filters),
        in_use=_flag(filters, "inuse"),
        nothing=any(name in filters for name in ("label", "parent", "parents")),  # records have none of these
    )


def _single(filters: Filters, name: str) -> str | None:
    values = filters.get(name)
    if len(values) > 1:
        raise invalid(f'filter "{name}" cannot be given more than once: {", ".join(values)}')
    return values[0] if values else None


def _pattern(text: str | None) -> str | None:
    try:
        re.compile(text or "")
    except re.error as error:
        raise invalid(f"invalid filter 'id={text}': {error}") from None
    return text


def _flag(filters: Filters, name: str) -> bool | None:
    value = _single(filters, name)
    return None if value is None else value.lower() not in ("0", "false")


def _shared(filters: Filters) -> bool | None:
    private = _flag(filters, "private")
    return _flag(filters, "shared") if private is None else not private
