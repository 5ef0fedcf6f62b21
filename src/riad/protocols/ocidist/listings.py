"""Tags, referrers and the catalog (OCI distribution 1.1, "Content Discovery"; the catalog is Docker's)."""

from __future__ import annotations

import itertools
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from riad.identity.model import Principal
from riad.kernel.faults import Fault
from riad.oci import media
from riad.oci.digest import parse_digest
from riad.protocols.ocidist.auth import caller, challenge, require
from riad.protocols.ocidist.errors import Challenged, RegistryRoute
from riad.protocols.ocidist.services import Services
from riad.registry import access, listings, repositories
from riad.registry.access import Action
from riad.registry.faults import Reason, Refusal
from riad.registry.names import RepositoryName
from riad.registry.store import repository

MOST = 1000
_LIMIT = Query(ge=0, le=1_000_000)


def router(services: Services) -> APIRouter:
    routes = APIRouter(route_class=RegistryRoute)

    @routes.get("/v2/{name:path}/tags/list")
    def tags(request: Request, name: str, n: Annotated[int, _LIMIT] = MOST, last: str = "") -> Response:
        parsed = RepositoryName.parse(name)
        limit = min(n, MOST)
        with services.database.read() as session:
            require(services, session, request, parsed, Action.PULL)
            row = repositories.get(session, parsed)
            found = listings.tag_names(session, row.id, after=last, limit=limit + 1)
        return _page(request, {"name": name, "tags": found[:limit]}, found, limit)

    @routes.get("/v2/{name:path}/referrers/{digest}")
    def referrers(
        request: Request,
        name: str,
        digest: str,
        artifact_type: Annotated[str | None, Query(alias="artifactType")] = None,
    ) -> Response:
        parsed = RepositoryName.parse(name)
        try:
            subject = parse_digest(digest)
        except Fault as fault:
            raise Refusal(Reason.DIGEST_INVALID, fault.message) from None
        with services.database.read() as session:
            require(services, session, request, parsed, Action.PULL)
            row = repository(session, parsed.text)
            found = (
                listings.referrers(session, services.blobs, row.id, subject, artifact_type=artifact_type) if row else []
            )
        body = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": found}
        headers = {"OCI-Filters-Applied": "artifactType"} if artifact_type is not None else None
        return JSONResponse(body, headers=headers, media_type=media.OCI_INDEX)

    @routes.get("/v2/_catalog")
    def catalog(request: Request, n: Annotated[int, _LIMIT] = MOST, last: str = "") -> Response:
        limit = min(n, MOST)
        with services.database.read() as session:
            principal = _catalog_reader(services, session, request)
            found = _visible_names(services, session, principal, last, limit + 1)
        return _page(request, {"repositories": found[:limit]}, found, limit)

    return routes


def _catalog_reader(services: Services, session: Session, request: Request) -> Principal:
    who = caller(services, session, request)
    listed = who.granted is None or "*" in who.granted.get("registry:catalog", ())
    if who.principal.user is None or not listed:
        raise Challenged("log in to list images", challenge(services, request, "registry:catalog:*"))
    return who.principal


def _visible_names(services: Services, session: Session, principal: Principal, last: str, limit: int) -> list[str]:
    readable: dict[int, bool] = {}

    def may_read(project_id: int) -> bool:
        if project_id not in readable:
            project = services.projects.by_id(session, project_id)
            readable[project_id] = project is not None and Action.PULL in access.allowed(session, principal, project)
        return readable[project_id]

    visible = (name for name, project_id in listings.names(session, after=last) if may_read(project_id))
    return list(itertools.islice(visible, limit))


def _page(request: Request, body: dict[str, Any], found: list[str], limit: int) -> Response:
    headers = None
    if len(found) > limit > 0:
        query = urlencode({"n": limit, "last": found[limit - 1]})
        headers = {"Link": f'<{request.url.path}?{query}>; rel="next"'}
    return JSONResponse(body, headers=headers)
