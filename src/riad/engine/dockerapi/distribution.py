"""What registries have, without pulling it: GET /distribution/NAME/json, GET /images/search."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from riad.engine.dockerapi.filters import Filters, parse_filters
from riad.engine.dockerapi.image_transfer import registry_credentials
from riad.engine.dockerapi.wire import json_response, whole
from riad.engine.images.registry.client import Registry
from riad.engine.images.registry.errors import Refusal, Unreachable, pull_fault
from riad.engine.images.registry.places import RegistryOptions, own_place
from riad.engine.images.search import Hit, search
from riad.kernel.faults import Fault, Kind, invalid
from riad.oci import media
from riad.oci.config import parse_image_config
from riad.oci.manifest import Index, parse_manifest
from riad.oci.platform import Platform
from riad.oci.reference import parse_reference

_SEARCH_FILTERS = ("is-automated", "is-official", "stars")
_DEFAULT_LIMIT, _LARGEST_LIMIT = 25, 100
_LARGEST_CONFIG = 8 * 1024 * 1024


def routes(*, options: RegistryOptions) -> list[web.RouteDef]:
    async def inspect(request: web.Request) -> web.Response:
        reference = parse_reference(request.match_info["name"]).with_default_tag()
        try:
            async with Registry(own_place(reference, options), registry_credentials(request)) as registry:
                body, content_type, digest = await registry.manifest(reference.digest or reference.tag or "latest")
                platforms = await _platforms(registry, body, content_type)
        except Refusal as error:
            raise pull_fault(error, reference) from None
        except Unreachable as error:
            raise Fault(Kind.UNAVAILABLE, f"cannot reach a registry for {reference.familiar}: {error}") from None
        media_type = parse_manifest(body, content_type).media_type
        descriptor = {"mediaType": media_type, "digest": digest, "size": len(body)}
        return json_response({"Descriptor": descriptor, "Platforms": platforms})

    async def find(request: web.Request) -> web.Response:
        term = request.query.get("term", "").strip()
        if not term:
            raise invalid("term is missing: what to search for")
        filters = parse_filters(request.query.get("filters"), known=_SEARCH_FILTERS)
        limit = whole(request.query, "limit") or _DEFAULT_LIMIT
        if not 1 <= limit <= _LARGEST_LIMIT:
            raise invalid(f"Limit {limit} is outside the range of [1, {_LARGEST_LIMIT}]")
        hits = await search(term, options, registry_credentials(request), limit=limit)
        return json_response([_hit(hit) for hit in hits if _wanted(hit, filters)])

    return [web.get("/distribution/{name:.+}/json", inspect), web.get("/images/search", find)]


def _wanted(hit: Hit, filters: Filters) -> bool:
    stars = max((_stars(text) for text in filters.get("stars")), default=0)
    official = filters.flag("is-official")
    return hit.stars >= stars and official in (None, hit.official) and not filters.flag("is-automated")


def _stars(text: str) -> int:
    if not text.isdigit():
        raise invalid(f"invalid filter 'stars=[{text}]'")
    return int(text)


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "star_count": hit.stars,
        "is_official": hit.official,
        "name": hit.name,
        "is_automated": False,
        "description": hit.description,
    }


async def _platforms(registry: Registry, body: bytes, content_type: str) -> list[dict[str, Any]]:
    manifest = parse_manifest(body, content_type)
    if isinstance(manifest, Index):
        return [_shape(entry.platform) for entry in manifest.manifests if entry.platform]
    if manifest.config.media_type not in media.IMAGE_CONFIGS:
        return []
    config = parse_image_config(await registry.blob(manifest.config.digest, limit=_LARGEST_CONFIG))
    return [_shape(config.platform)]


def _shape(platform: Platform) -> dict[str, Any]:
    return platform.to_json()
