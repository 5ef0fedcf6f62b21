"""Reading and deleting blobs (OCI distribution 1.1, "Pulling blobs", "Deleting blobs"; ranges: RFC 9110, 14)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from riad.kernel.faults import Fault
from riad.oci.digest import Digest, parse_digest
from riad.protocols.ocidist.auth import require
from riad.protocols.ocidist.errors import RegistryRoute
from riad.protocols.ocidist.services import Services
from riad.registry import blobs, repositories
from riad.registry.access import Action
from riad.registry.blobs import BlobInfo
from riad.registry.faults import Reason, Refusal
from riad.registry.names import RepositoryName

_PIECE = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def router(services: Services) -> APIRouter:
    routes = APIRouter(route_class=RegistryRoute)

    @routes.head("/v2/{name:path}/blobs/{digest}")
    def ask(request: Request, name: str, digest: str) -> Response:
        found = _find(services, request, name, digest) or _upstream(services, name, digest)
        return Response(status_code=200, headers=_headers(found) | {"Content-Length": str(found.size)})

    @routes.get("/v2/{name:path}/blobs/{digest}")
    def read(request: Request, name: str, digest: str) -> Response:
        found = _find(services, request, name, digest)
        if found is None:
            size, pieces = services.cache.fetch(RepositoryName.parse(name), _digest(digest))
            return StreamingResponse(pieces, 200, _headers(BlobInfo(digest, size)) | _length(size))
        return _content(services.blobs.open(blobs.key(found.digest)), found, request.headers.get("range"))

    @routes.delete("/v2/{name:path}/blobs/{digest}")
    def forget(request: Request, name: str, digest: str) -> Response:
        parsed = RepositoryName.parse(name)
        with services.database.write() as session:
            require(services, session, request, parsed, Action.DELETE)
            blobs.unlink(session, repositories.get(session, parsed).id, _digest(digest))
        return Response(status_code=202)

    return routes


def _upstream(services: Services, name: str, digest: str) -> BlobInfo:
    return BlobInfo(digest, services.cache.size(RepositoryName.parse(name), digest))


def _length(size: int) -> dict[str, str]:
    return {"Content-Length": str(size)} if size >= 0 else {}


def _find(services: Services, request: Request, name: str, digest: str) -> BlobInfo | None:
    """None: to be had from a cached registry."""
    parsed, wanted = RepositoryName.parse(name), _digest(digest)
    with services.database.read() as session:
        who = require(services, session, request, parsed, Action.PULL)
        if services.cache.remote(parsed) is not None:
            return services.cache.blob(parsed, wanted)
        repository = repositories.get(session, parsed)
        found = blobs.find(session, repository.id, wanted)
        relied_on = who.holds(parsed, Action.PUSH) and _is_stale(services, session, repository.id, wanted)
    if relied_on:  # a pusher told that the blob is there will not send it again
        with services.database.write() as session:
            if not blobs.touch(session, repository.id, {wanted}, clock=services.clock):
                raise blobs.unknown(wanted)
    return found


def _is_stale(services: Services, session: Session, repository_id: int, digest: str) -> bool:
    return blobs.is_stale(session, repository_id, digest, clock=services.clock)


def _digest(text: str) -> Digest:
    try:
        return parse_digest(text)
    except Fault as fault:
        raise Refusal(Reason.DIGEST_INVALID, fault.message) from None


def _headers(found: BlobInfo) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": found.digest,
        "Accept-Ranges": "bytes",
        "ETag": f'"{found.digest}"',
        "Cache-Control": "max-age=31536000, private",
    }


def _content(file: BinaryIO, found: BlobInfo, wanted: str | None) -> Response:
    span = byte_range(wanted, found.size)
    headers = _headers(found)
    if span is None:
        start, end, status = 0, found.size, 200
    else:
        start, end = span
        if start >= end:
            file.close()
            return Response(status_code=416, headers={"Content-Range": f"bytes */{found.size}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        status = 206
    headers["Content-Length"] = str(end - start)
    return StreamingResponse(_pieces(file, start, end), status, headers)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last. None: send all (no range, several, or another unit); empty: not there."""
    found = _RANGE.fullmatch(header.strip()) if header is not None else None
    if found is None or (not found[1] and not found[2]):
        return None
    if not found[1]:
        return max(size - int(found[2]), 0), size
    start = int(found[1])
    if found[2] and int(found[2]) < start:
        return None
    return start, min(int(found[2]) + 1, size) if found[2] else size


async def _pieces(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    """The next piece is read while the last one is sent."""
    left = end - start
    reading = _read(file, start, min(_PIECE, left))
    try:
        while left > 0 and (piece := await reading):
            left -= len(piece)
            reading = _read(file, end - left, min(_PIECE, left))
            yield piece
    finally:
        await asyncio.wait([reading])
        file.close()


def _read(file: BinaryIO, offset: int, size: int) -> asyncio.Future[bytes]:
    def read() -> bytes:
        file.seek(offset)
        return file.read(size)

    return asyncio.ensure_future(asyncio.to_thread(read))
