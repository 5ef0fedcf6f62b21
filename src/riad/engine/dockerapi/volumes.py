"""/volumes: list, inspect, create, remove, prune."""

from __future__ import annotations

import re

from aiohttp import web

from riad.engine.dockerapi.filters import Filters, has_label, parse_filters
from riad.engine.dockerapi.wire import Shape, flag, json_body, json_response, moment, no_content, version_of
from riad.engine.volumes.model import Volume
from riad.engine.volumes.volumes import Volumes
from riad.kernel.faults import invalid

_LIST_FILTERS = ("dangling", "driver", "label", "name")
_PRUNE_FILTERS = ("all", "label", "label!")
_ALL_BEFORE = (1, 42)
"""Older clients mean every unused volume by prune, newer ones anonymous volumes unless they say all."""


def routes(*, volumes: Volumes) -> list[web.RouteDef]:
    async def index(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=_LIST_FILTERS)
        found = [volume for volume in volumes.all() if _matches(volume, filters, volumes)]
        return json_response({"Volumes": [volume_shape(volume) for volume in found], "Warnings": None})

    async def inspect(request: web.Request) -> web.Response:
        return json_response(volume_shape(volumes.get(request.match_info["name"])))

    async def create(request: web.Request) -> web.Response:
        body = await json_body(request, empty={})
        if body.get("ClusterVolumeSpec"):
            raise invalid("ClusterVolumeSpec: this node is not a swarm manager; leave it out")
        volume = volumes.create(
            _text(body, "Name"),
            driver=_text(body, "Driver"),
            options=texts(body, "DriverOpts"),
            labels=texts(body, "Labels"),
        )
        return json_response(volume_shape(volume), status=201)

    async def remove(request: web.Request) -> web.Response:
        await volumes.remove(request.match_info["name"], force=flag(request.query, "force"))
        return no_content()

    async def prune(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=_PRUNE_FILTERS)
        everything = filters.flag("all") or version_of(request) < _ALL_BEFORE
        names, size = await volumes.prune(lambda volume: _prunable(volume, filters, everything=bool(everything)))
        return json_response({"VolumesDeleted": names, "SpaceReclaimed": size})

    return [
        web.get("/volumes", index),
        web.post("/volumes/create", create),
        web.post("/volumes/prune", prune),
        web.get("/volumes/{name:.+}", inspect),
        web.delete("/volumes/{name}", remove),
    ]


def volume_shape(volume: Volume) -> Shape:
    return {
        "CreatedAt": moment(volume.created_at.replace(microsecond=0)),
        "Driver": "local",
        "Labels": dict(volume.labels) or None,
        "Mountpoint": str(volume.mountpoint),
        "Name": volume.name,
        "Options": dict(volume.options) or None,
        "Scope": "local",
    }


def texts(body: Shape, name: str) -> dict[str, str]:
    """An object of texts; absent and null are empty. Raises INVALID naming it."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise invalid(f"{name}: expected an object of strings")
    return value


def _text(body: Shape, name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(f"{name}: expected a string, not {type(value).__name__}")
    return value


def _matches(volume: Volume, filters: Filters, volumes: Volumes) -> bool:
    dangling = filters.flag("dangling")
    return (
        (dangling is None or dangling is not bool(volumes.users(volume.name)))
        and filters.exact("driver", "local")
        and filters.labels(volume.labels)
        and matches_name(filters.get("name"), volume.name)
    )


def matches_name(wanted: tuple[str, ...], name: str) -> bool:
    """A part of the name or a regular expression that fits somewhere in it, as Docker's filters have it."""
    return not wanted or any(text in name or _fits(text, name) for text in wanted)


def _fits(expression: str, name: str) -> bool:
    if len(expression) > 128:  # a stranger's expression must not keep the daemon busy
        return False
    try:
        return re.search(expression, name) is not None
    except (re.error, RecursionError):
        return False


def _prunable(volume: Volume, filters: Filters, *, everything: bool) -> bool:
    unwanted = any(has_label(volume.labels, label) for label in filters.get("label!"))
    if volume.options:
        return False  # what its driver mounts there belongs to somebody else
    return (everything or volume.is_anonymous) and filters.labels(volume.labels) and not unwanted
