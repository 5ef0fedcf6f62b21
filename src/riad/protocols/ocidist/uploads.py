"""Blob uploads (OCI distribution 1.1, "Pushing blobs"): POST begins, PATCH adds, PUT ends, GET asks, DELETE gives up.

Bytes go to the part file as they arrive, half a megabyte at a time; what was received of a broken connection counts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from riad.kernel.faults import Fault
from riad.oci.digest import Digest, parse_digest
from riad.protocols.ocidist.auth import Caller, require
from riad.protocols.ocidist.errors import RegistryRoute
from riad.protocols.ocidist.services import Services
from riad.registry import blobs, quota, repositories, uploads
from riad.registry.access import Action
from riad.registry.faults import Reason, Refusal
from riad.registry.names import RepositoryName
from riad.registry.store import RepositoryRow, UploadRow

_PIECE = 512 * 1024
_MOST_HOLDERS = 20
_RANGE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)(?:/\d+|/\*)?")


def router(services: Services) -> APIRouter:
    routes = APIRouter(route_class=RegistryRoute)

    @routes.post("/v2/{name:path}/blobs/uploads")
    @routes.post("/v2/{name:path}/blobs/uploads/")
    async def begin(request: Request, name: str) -> Response:
        return await _begin(services, request, name)

    @routes.get("/v2/{name:path}/blobs/uploads/{upload_id}")
    def status(request: Request, name: str, upload_id: str) -> Response:
        with services.database.read() as session:
            row = _authorised(services, session, request, name, upload_id)
            return _progress(name, row.id, row.offset, 204)

    @routes.patch("/v2/{name:path}/blobs/uploads/{upload_id}")
    async def add(request: Request, name: str, upload_id: str) -> Response:
        return _progress(name, upload_id, await _append(services, request, name, upload_id), 202)

    @routes.put("/v2/{name:path}/blobs/uploads/{upload_id}")
    async def end(request: Request, name: str, upload_id: str) -> Response:
        return await _end(services, request, name, upload_id)

    @routes.delete("/v2/{name:path}/blobs/uploads/{upload_id}")
    def give_up(request: Request, name: str, upload_id: str) -> Response:
        with services.parts.alone(upload_id), services.database.write() as session:
            uploads.cancel(session, services.parts, _authorised(services, session, request, name, upload_id))
        return Response(status_code=204)

    return routes


async def _begin(services: Services, request: Request, name: str) -> Response:
    query = request.query_params
    begun = await asyncio.to_thread(_open, services, request, name, query.get("mount"), query.get("from"))
    if isinstance(begun, Mounted):
        return _created(name, begun.digest)
    if query.get("digest") is None:
        return _progress(name, begun, 0, 202)
    return await _end(services, request, name, begun)


@dataclass(frozen=True, slots=True)
class Mounted:
    digest: str


def _open(services: Services, request: Request, name: str, mount: str | None, source: str | None) -> str | Mounted:
    """A new upload's id, or the blob mounted instead."""
    target = RepositoryName.parse(name)
    if "digest" in request.query_params:
        _wanted_digest(request)
    with services.database.read() as session:
        who = require(services, session, request, target, Action.PUSH)
    with services.database.write() as session:
        repository = repositories.ensure(session, target, projects=services.projects, clock=services.clock)
        if mount and _mounted(services, session, request, repository, who, mount, source):
            return Mounted(mount)
        return uploads.begin(session, repository, clock=services.clock).id


def _mounted(
    services: Services,
    session: Session,
    request: Request,
    target: RepositoryRow,
    who: Caller,
    mount: str,
    source: str | None,
) -> bool:
    """From the repository that the client names, or from any that has the blob and that the caller may read."""
    if source:
        return _mount(services, session, request, target, who, mount, source)
    holders = blobs.holders(session, mount, limit=_MOST_HOLDERS)
    return any(_mount(services, session, request, target, who, mount, name) for name in holders)


def _mount(
    services: Services,
    session: Session,
    request: Request,
    target: RepositoryRow,
    who: Caller,
    mount: str,
    source: str,
) -> bool:
    """False where there is nothing to mount, or where the caller may not read it: then the blob is uploaded."""
    try:
        digest = parse_digest(mount)
        source_name = RepositoryName.parse(source)
        if not who.holds(source_name, Action.PULL):
            require(services, session, request, source_name, Action.PULL)
        found = repositories.get(session, source_name)
    except Fault:
        return False
    return blobs.mount(session, found, target, digest, clock=services.clock)


def _authorised(services: Services, session: Session, request: Request, name: str, upload_id: str) -> UploadRow:
    parsed = RepositoryName.parse(name)
    require(services, session, request, parsed, Action.PUSH)
    return uploads.get(session, repositories.get(session, parsed), upload_id)


async def _append(services: Services, request: Request, name: str, upload_id: str) -> int:
    """Takes the request's body; returns the new offset."""
    with services.parts.alone(upload_id):
        writer = await asyncio.to_thread(_writer, services, request, name, upload_id)
        before = writer.offset
        try:
            await _receive(request, writer)
        finally:
            await asyncio.to_thread(_record, services, upload_id, writer)
        _check_length(request, writer.offset - before)
        return writer.offset


def _writer(services: Services, request: Request, name: str, upload_id: str) -> uploads.Writer:
    with services.database.read() as session:
        row = _authorised(services, session, request, name, upload_id)
        _require_room(session, request, row)
    span = _content_range(request)
    if span is not None and span[0] != row.offset:
        message = f"the next byte expected is {row.offset}, not {span[0]}"
        raise Refusal(Reason.RANGE_INVALID, message, detail={"offset": row.offset})
    return uploads.Writer(services.parts, upload_id, row.offset)


def _require_room(session: Session, request: Request, row: UploadRow) -> None:
    """Refuses what is known to be too much before it is sent."""
    length = request.headers.get("content-length", "")
    more = int(length) if length.isdigit() else 0
    if more:
        repository = session.get_one(RepositoryRow, row.repository_id)
        if blobs.in_project(session, repository.project_id, request.query_params.get("digest", "")):
            return
        quota.require_room(session, repository.project_id, row.offset + more)


async def _receive(request: Request, writer: uploads.Writer) -> None:
    """The next piece comes in while the last one is written and hashed."""
    pieces: list[bytes] = []
    size = 0
    writing: asyncio.Future[None] | None = None
    try:
        async for chunk in request.stream():
            pieces.append(chunk)
            size += len(chunk)
            if size >= _PIECE:
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(asyncio.to_thread(writer.write, pieces))
                pieces, size = [], 0
    finally:
        if writing is not None:
            await writing
        if pieces:
            await asyncio.to_thread(writer.write, pieces)


def _record(services: Services, upload_id: str, writer: uploads.Writer) -> None:
    writer.close()
    with services.database.write() as session:
        uploads.record(session, upload_id, writer.offset, clock=services.clock)


def _content_range(request: Request) -> tuple[int, int] | None:
    """First and last byte, both included (the registry's form has no unit: `0-1023`)."""
    header = request.headers.get("content-range")
    if header is None:
        return None
    found = _RANGE.fullmatch(header.strip())
    if found is None or int(found[2]) < int(found[1]):
        raise Refusal(Reason.RANGE_INVALID, f'Content-Range "{header[:60]}" is not FIRST-LAST')
    return int(found[1]), int(found[2])


def _check_length(request: Request, received: int) -> None:
    span = _content_range(request)
    if span is not None and span[1] - span[0] + 1 != received:
        message = f"Content-Range names {span[1] - span[0] + 1} bytes and {received} came"
        raise Refusal(Reason.SIZE_INVALID, message)


async def _end(services: Services, request: Request, name: str, upload_id: str) -> Response:
    digest = _wanted_digest(request)
    offset = await _append(services, request, name, upload_id)
    with services.parts.alone(upload_id):
        await asyncio.to_thread(_finish, services, request, name, upload_id, digest, offset)
    return _created(name, digest)


def _finish(services: Services, request: Request, name: str, upload_id: str, digest: Digest, offset: int) -> None:
    with _dropped_on_mismatch(services, upload_id):
        uploads.verify(services.parts, upload_id, offset, digest)
    with services.database.write() as session:
        row = uploads.get(session, repositories.get(session, RepositoryName.parse(name)), upload_id)
        uploads.finish(session, services.parts, services.blobs, row, digest=digest, clock=services.clock)


@contextmanager
def _dropped_on_mismatch(services: Services, upload_id: str) -> Iterator[None]:
    """Bytes that are not what they were said to be cannot be continued."""
    try:
        yield
    except Refusal:
        with services.database.write() as session:
            row = session.get(UploadRow, upload_id)
            if row is not None:
                uploads.cancel(session, services.parts, row)
        raise


def _wanted_digest(request: Request) -> Digest:
    text = request.query_params.get("digest", "")
    try:
        return parse_digest(text)
    except Fault as fault:
        raise Refusal(Reason.DIGEST_INVALID, fault.message) from None


def _progress(name: str, upload_id: str, offset: int, status: int) -> Response:
    headers = {
        "Location": f"/v2/{name}/blobs/uploads/{upload_id}",
        "Range": f"0-{max(offset - 1, 0)}",
        "Docker-Upload-UUID": upload_id,
    }
    return Response(status_code=status, headers=headers)


def _created(name: str, digest: str) -> Response:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return Response(status_code=201, headers=headers)
