"""/images: list, inspect, history, tag, remove, prune. What moves images in and out is in `image_transfer`."""

from __future__ import annotations

from aiohttp import web

from riad.engine.dockerapi import image_shapes
from riad.engine.dockerapi.filters import Filters, parse_filters
from riad.engine.dockerapi.image_filters import LIST_FILTERS, PRUNE_FILTERS, ImageFilter
from riad.engine.dockerapi.wire import flag, json_response, version_of
from riad.engine.images.local import Images
from riad.engine.images.remove import prune_images, remove_image
from riad.kernel.faults import invalid
from riad.oci.reference import parse_reference


def routes(*, images: Images) -> list[web.RouteDef]:
    async def index(request: web.Request) -> web.Response:
        with_manifests = flag(request.query, "manifests") and version_of(request) >= (1, 47)
        filters = parse_filters(request.query.get("filters"), known=LIST_FILTERS)
        chosen = ImageFilter(filters, images, now=images.clock.now())
        parents = images.store.parents()
        everything = flag(request.query, "all")
        found = [
            image
            for image in images.all()
            if chosen.keeps(image) and (everything or image.tags or image.digests or image.id not in parents)
        ]
        shared = image_shapes.shared_sizes(images, found) if flag(request.query, "shared-size") else {}
        old = version_of(request) < (1, 44)
        return json_response(
            [
                image_shapes.summary(image, tags=chosen.tags(image), shared=shared.get(image.id, -1))
                | ({"VirtualSize": image.size} if old else {})
                | ({"Manifests": image_shapes.manifests(image, images)} if with_manifests else {})
                for image in found
            ]
        )

    async def inspect(request: web.Request) -> web.Response:
        shape = image_shapes.details(images.get(request.match_info["name"]), images)
        # Compose 1 asks in the newest version it is offered, but reads what versions of its own time answered.
        old = request.headers.get("User-Agent", "").startswith("docker-compose/1.")
        return json_response(image_shapes.for_older_clients(shape, (1, 24) if old else version_of(request)))

    async def history(request: web.Request) -> web.Response:
        return json_response(image_shapes.history(images.get(request.match_info["name"]), images))

    async def tag(request: web.Request) -> web.Response:
        image = images.get(request.match_info["name"])
        reference = parse_reference(request.query.get("repo", ""))
        if request.query.get("tag"):
            reference = reference.with_tag(request.query["tag"])
        images.tag(image, reference)
        return web.Response(status=201)

    async def remove(request: web.Request) -> web.Response:
        done = await remove_image(
            images,
            request.match_info["name"],
            force=flag(request.query, "force"),
            prune_parents=not flag(request.query, "noprune"),
        )
        return json_response([image_shapes.removal(item) for item in done])

    async def prune(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=PRUNE_FILTERS)
        dangling_only = filters.flag("dangling") is not False
        # `dangling=false` means "not only dangling ones": it must not hide them.
        rest = Filters({name: values for name, values in filters.values.items() if name != "dangling"})
        chosen = ImageFilter(rest, images, now=images.clock.now())
        done, freed = await prune_images(images, dangling_only=dangling_only, fits=chosen.keeps)
        images.announce("prune", "", {"reclaimed": str(freed)})
        deleted = [image_shapes.removal(item) for item in done] or None
        return json_response({"ImagesDeleted": deleted, "SpaceReclaimed": freed})

    async def nameless(_: web.Request) -> web.Response:
        raise invalid("an image's name is missing: /images/NAME/json")

    return [
        web.get("/images/json", index),
        web.post("/images/prune", prune),
        web.get("/images//json", nameless),
        web.get("/images/{name:.+}/json", inspect),
        web.get("/images/{name:.+}/history", history),
        web.post("/images/{name:.+}/tag", tag),
        web.delete("/images/{name:.+}", remove),
    ]
