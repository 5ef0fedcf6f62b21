"""POST /auth: whether a registry accepts a user, as `docker login` asks."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from riad.engine.dockerapi.wire import json_body, json_response
from riad.engine.images.registry.client import Registry
from riad.engine.images.registry.credentials import credentials_from_json
from riad.engine.images.registry.errors import Refusal, Unreachable
from riad.engine.images.registry.places import RegistryOptions, own_place
from riad.kernel.faults import Fault, Kind
from riad.oci.reference import DOCKER_HUB, Reference


def routes(*, options: RegistryOptions) -> list[web.RouteDef]:
    async def auth(request: web.Request) -> web.Response:
        body = await json_body(request)
        domain = registry_domain(str(body.get("serveraddress") or ""))
        place = own_place(Reference(domain, ""), options)
        try:
            async with Registry(place, credentials_from_json(body), offline=True) as registry:
                await registry.ping()
                identity = registry.identity_token
        except Refusal as error:
            kind = Kind.UNAUTHENTICATED if error.status in (401, 403) else Kind.INTERNAL
            raise Fault(kind, f"login attempt to {place.base}/v2/ failed: {error}") from None
        except Unreachable as error:
            raise Fault(Kind.INTERNAL, f"cannot reach the registry at {error}") from None
        return json_response({"Status": "Login Succeeded", "IdentityToken": identity})

    return [web.post("/auth", auth)]


def registry_domain(address: str) -> str:
    """HOST[:PORT] of what a client calls a server: a URL, a bare host, or nothing for Docker Hub."""
    host = urlsplit(address).netloc if "://" in address else address.partition("/")[0]
    return DOCKER_HUB if host in ("", f"index.{DOCKER_HUB}", f"registry-1.{DOCKER_HUB}") else host
