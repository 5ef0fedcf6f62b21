"""GET /system/df: what images, containers, volumes and the build cache take on this disk.

All numbers are what the disk gives (blocks, as `du` counts), so that they add up to the engine's data folder: a layer
belongs to the images that have it, and is counted once in LayersSize; one that only the build cache holds belongs to
that. A container's share is its whole folder: what it wrote, its log, its names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

from riad.engine.build.cache import Cache
from riad.engine.build.records import records
from riad.engine.build.solve import Builder
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container
from riad.engine.dockerapi.container_shapes.listing import list_shape
from riad.engine.dockerapi.image_shapes import summary
from riad.engine.dockerapi.volumes import volume_shape
from riad.engine.dockerapi.wire import Shape, json_response, moment, version_of
from riad.engine.host.disk import on_disk
from riad.engine.images.disk import LayerDisk
from riad.engine.images.model import Image
from riad.kernel.faults import invalid
from riad.oci.digest import Digest

_TYPES = ("container", "image", "volume", "build-cache")
_TYPES_SINCE = (1, 42)


@dataclass(frozen=True, slots=True)
class Disk:
    """What is measured."""

    engine: Engine
    layers: LayerDisk
    cache: Cache
    builder: Builder


def routes(*, disk: Disk) -> list[web.RouteDef]:
    async def usage(request: web.Request) -> web.Response:
        typed = version_of(request) >= _TYPES_SINCE
        wanted = request.query.getall("type", []) if typed else []
        for kind in wanted:
            if kind not in _TYPES:
                raise invalid(f"unknown object type: {kind}")
        return json_response(await usage_shape(disk, wanted or _TYPES, old=not typed))

    return [web.get("/system/df", usage)]


async def usage_shape(disk: Disk, wanted: Iterable[str], *, old: bool) -> Shape:
    """What was not asked for is null. Clients before 1.42 get the build cache's sum, too."""
    asked = frozenset(wanted)
    sizes = await disk.layers.measured()
    cache = await _build_cache(disk, sizes, old=old) if "build-cache" in asked else None
    shape: Shape = {
        "Images": _images(disk, sizes) if "image" in asked else None,
        "Containers": await _containers(disk, sizes) if "container" in asked else None,
        "Volumes": await _volumes(disk) if "volume" in asked else None,
        "BuildCache": cache,
    }
    if old:
        shape["BuilderSize"] = sum(entry["Size"] for entry in cache or ())
    if "image" in asked:
        shape["LayersSize"] = sum(size for layer, size in sizes.items() if layer not in only_cached(disk))
    return shape


def only_cached(disk: Disk) -> frozenset[Digest]:
    """The layers that neither an image nor a container has."""
    layers = disk.engine.images.layers
    held = {layer for container in disk.engine.registry for layer in container.layers}
    return frozenset(layer for layer in layers.places() if layer not in layers.uses() and layer not in held)


def _images(disk: Disk, sizes: Mapping[Digest, int]) -> list[Shape]:
    images = disk.engine.images
    parents, uses = images.store.parents(), images.layers.uses()
    users: dict[str, int] = {}
    for container in disk.engine.registry:
        users[container.image_id] = users.get(container.image_id, 0) + 1
    return [
        _image(image, sizes, uses, containers=users.get(image.id, 0))
        for image in images.all()
        if image.tags or image.digests or image.id not in parents
    ]


def _image(image: Image, sizes: Mapping[Digest, int], uses: Mapping[Digest, int], *, containers: int) -> Shape:
    layers = set(image.layers)
    shared = sum(sizes.get(layer, 0) for layer in layers if uses.get(layer, 0) > 1)
    size = sum(sizes.get(layer, 0) for layer in layers)
    return summary(image, shared=shared, containers=containers) | {"Size": size}


async def _containers(disk: Disk, sizes: Mapping[Digest, int]) -> list[Shape]:
    engine = disk.engine
    now = engine.clock.now()
    found = sorted(engine.registry, key=lambda container: container.created, reverse=True)
    return [
        list_shape(engine, container, now=now) | await _container_sizes(engine, container, sizes) for container in found
    ]


async def _container_sizes(engine: Engine, container: Container, sizes: Mapping[Digest, int]) -> Shape:
    own = await asyncio.to_thread(on_disk, engine.paths.folder(container.id))
    return {"SizeRw": own, "SizeRootFs": own + sum(sizes.get(Digest(layer), 0) for layer in container.layers)}


async def _volumes(disk: Disk) -> list[Shape]:
    volumes = disk.engine.volumes
    return [
        volume_shape(volume)
        | {"UsageData": {"Size": await volumes.size(volume), "RefCount": len(volumes.users(volume.name))}}
        for volume in volumes.all()
    ]


async def _build_cache(disk: Disk, sizes: Mapping[Digest, int], *, old: bool) -> list[Shape]:
    """What images or containers have as well (`Shared`) is counted there."""
    layers = disk.engine.images.layers
    found = await records(disk.cache, disk.builder, layers, sizes=sizes, alone=only_cached(disk))
    return [
        {
            "ID": record.id,
            **({"Parent": ""} if old else {"Parents": None}),
            "Type": record.kind,
            "Description": record.description,
            "InUse": record.in_use,
            "Shared": record.shared,
            "Size": record.size,
            "CreatedAt": moment(record.created),
            "LastUsedAt": moment(record.used_at),
            "UsageCount": record.uses,
        }
        for record in found
    ]
