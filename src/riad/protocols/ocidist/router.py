"""All routes of the registry's face, most particular first."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from riad.protocols.ocidist import blobs, listings, login, manifests, uploads
from riad.protocols.ocidist.auth import caller, challenge
from riad.protocols.ocidist.errors import Challenged, RegistryRoute
from riad.protocols.ocidist.services import Services
from riad.registry.faults import Reason, Refusal


def router(services: Services) -> APIRouter:
    """`/v2/…` and `/jwt/auth`."""
    routes = APIRouter(route_class=RegistryRoute, include_in_schema=False)

    @routes.get("/v2/")
    @routes.get("/v2")
    def check(request: Request) -> dict[str, str]:
        """Whether this is a registry and the credentials are good: how clients log in."""
        with services.database.read() as session:
            who = caller(services, session, request)
        if who.principal.user is None and who.granted is None:
            raise Challenged("log in", challenge(services, request))
        return {}

    for part in (login, listings, uploads, blobs, manifests):
        routes.include_router(part.router(services))

    @routes.api_route("/v2/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    def unknown(rest: str) -> Response:
        raise Refusal(Reason.NAME_INVALID, f'"/v2/{rest[:100]}" is not a registry address')

    return routes
