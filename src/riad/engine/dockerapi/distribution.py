"""GET /distribution/NAME/json: what a registry has under a name, without pulling it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from riad.engine.dockerapi.image_transfer import registry_credentials
from riad.engine.dockerapi.wire import json_response
from riad.engine.images.registry.client import Registry
from riad.engine.images.registry.errors import Refusal, Unreachable, pull_fault
from riad.engine.images.registry.places import RegistryOptions, own_place
from riad.kernel.faults import Fault, Kind
from riad.oci import media
from riad.oci.config import parse_image_config
from riad.oci.manifest import Index, parse_manifest
from riad.oci.platform import Platform
from riad.oci.reference import parse_reference

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

    return [web.get("/distribution/{name:.+}/json", inspect)]


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
