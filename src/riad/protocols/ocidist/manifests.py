"""Manifests by tag or digest (OCI distribution 1.1, "Pulling manifests", "Pushing manifests", "Deleting")."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from riad.oci.manifest import LARGEST_MANIFEST
from riad.protocols.ocidist.auth import require, require_unprotected
from riad.protocols.ocidist.errors import RegistryRoute
from riad.protocols.ocidist.services import Services
from riad.registry import manifests, repositories
from riad.registry.access import Action
from riad.registry.faults import Reason, Refusal
from riad.registry.manifests import ManifestInfo
from riad.registry.names import RepositoryName


def router(services: Services) -> APIRouter:
    routes = APIRouter(route_class=RegistryRoute)

    @routes.head("/v2/{name:path}/manifests/{reference}")
    def ask(request: Request, name: str, reference: str) -> Response:
        return Response(status_code=200, headers=_headers(_find(services, request, name, reference)))

    @routes.get("/v2/{name:path}/manifests/{reference}")
    def read(request: Request, name: str, reference: str) -> Response:
        found = _find(services, request, name, reference)
        return Response(manifests.read(services.blobs, found), headers=_headers(found))

    @routes.put("/v2/{name:path}/manifests/{reference}")
    async def push(request: Request, name: str, reference: str) -> Response:
        body = await _body(request)
        return await run_in_threadpool(_put, services, request, name, reference, body)

    @routes.delete("/v2/{name:path}/manifests/{reference}")
    def forget(request: Request, name: str, reference: str) -> Response:
        parsed = RepositoryName.parse(name)
        with services.database.write() as session:
            who = require(services, session, request, parsed, Action.DELETE)
            require_unprotected(services, session, parsed, reference, who)
            manifests.delete(session, repositories.get(session, parsed), reference)
        return Response(status_code=202)

    return routes


def _find(services: Services, request: Request, name: str, reference: str) -> ManifestInfo:
    parsed = RepositoryName.parse(name)
    with services.database.read() as session:
        require(services, session, request, parsed, Action.PULL)
        if services.cache.remote(parsed) is None:
            return manifests.resolve(session, repositories.get(session, parsed), reference)
    return services.cache.manifest(parsed, reference)


def _headers(found: ManifestInfo) -> dict[str, str]:
    return {
        "Content-Type": found.media_type,
        "Content-Length": str(found.size),
        "Docker-Content-Digest": found.digest,
        "ETag": f'"{found.digest}"',
    }


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_MANIFEST:
            raise Refusal(Reason.TOO_LARGE, f"a manifest may have {LARGEST_MANIFEST} bytes")
    return bytes(body)


def _put(services: Services, request: Request, name: str, reference: str, body: bytes) -> Response:
    parsed = RepositoryName.parse(name)
    with services.database.read() as session:
        who = require(services, session, request, parsed, Action.PUSH)
        require_unprotected(services, session, parsed, reference, who)
    with services.database.write() as session:
        repository = repositories.ensure(session, parsed, projects=services.projects, clock=services.clock)
        put = manifests.put(
            session,
            repository,
            reference,
            body,
            content_type=request.headers.get("content-type", ""),
            store=services.blobs,
            clock=services.clock,
        )
    headers = {"Location": f"/v2/{name}/manifests/{put.digest}", "Docker-Content-Digest": put.digest}
    if put.subject is not None:
        headers["OCI-Subject"] = put.subject
    return Response(status_code=201, headers=headers)
