"""/mlflow-artifacts: files up and down as streams, and lists of them.

A file belongs to the experiment that its path begins with. An upload grows in a file of its own and takes its place,
under its content's digest, when it is whole; a cut-off one leaves nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from riad.kernel.faults import invalid, not_found
from riad.ml import artifacts, experiments, logged_models, runs
from riad.ml.sql import Sql, reading
from riad.protocols.mlflow import body, shapes
from riad.protocols.mlflow.access import Caller
from riad.protocols.mlflow.handlers import Call, reads
from riad.protocols.mlflow.services import Services
from riad.protocols.mlflow.shapes import Shape

SCHEME = "mlflow-artifacts:"
_BLOCK = 2**20


def project_of(sql: Sql, path: str) -> int:
    """The project that a path belongs to. Raises NOT_FOUND."""
    first = path.partition("/")[0]
    if not first.isdigit() or len(first) > 18:
        raise not_found(f"No such artifact: {path}")
    return experiments.get(sql, int(first)).project_id


def path_of(uri: str) -> str:
    """The path that a URI of ours means, from the root of all artifacts."""
    rest = uri.removeprefix(SCHEME)
    if rest == uri:
        raise not_found(f"{uri} is not kept here")
    if rest.startswith("//"):  # with a host, which is this one
        rest = rest[2:].partition("/")[2]
    return artifacts.clean(rest.lstrip("/"))


class Artifacts:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def upload(self, request: Request, caller: Caller, path: str) -> Response:
        """PUT: another file of that path gives way."""
        path = artifacts.clean(path)
        await run_in_threadpool(self._check, caller, path, change=True)
        self._services.incoming.mkdir(parents=True, exist_ok=True)
        part = self._services.incoming / secrets.token_hex(16)
        try:
            digest, size = await _receive(request, part)
            await run_in_threadpool(self._keep, part, digest)
            now = self._services.now()
            await self._services.writer.write(lambda sql: artifacts.put(sql, path, digest=digest, size=size, now=now))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody is there to read it
        finally:
            part.unlink(missing_ok=True)
        return Response(b"{}", media_type="application/json")

    def _check(self, caller: Caller, path: str, *, change: bool) -> None:
        with reading(self._services.database) as sql:
            project_id = project_of(sql, path)
        (caller.write if change else caller.read)(project_id)

    def _keep(self, part: Path, digest: str) -> None:
        key = artifacts.blob_key(digest)
        self._services.blobs.touch(key)
        if self._services.blobs.size(key) is None:
            self._services.blobs.adopt(key, part)

    async def download(self, caller: Caller, path: str) -> Response:
        path = artifacts.clean(path)
        found, opened = await run_in_threadpool(self._open, caller, path)
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        name = path.rpartition("/")[2].replace('"', "")
        headers = {
            "Content-Length": str(found.size),
            # What was uploaded never runs as a page of ours.
            "Content-Disposition": f"attachment; filename*=UTF-8''{_quoted(name)}",
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(_blocks(opened), headers=headers, media_type=kind)

    def _open(self, caller: Caller, path: str) -> tuple[artifacts.File, BinaryIO]:
        self._check(caller, path, change=False)
        with reading(self._services.database) as sql:
            found = artifacts.get(sql, path)
        return found, self._services.blobs.open(found.blob)

    async def remove(self, caller: Caller, path: str) -> Response:
        path = artifacts.clean(path)
        await run_in_threadpool(self._check, caller, path, change=True)
        if not await self._services.writer.write(lambda sql: artifacts.remove(sql, path)):
            raise not_found(f"No such artifact: {path}")
        return Response(b"{}", media_type="application/json")


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


async def _receive(request: Request, part: Path) -> tuple[str, int]:
    """The SHA-256 and size of what has come."""
    digest, size = hashlib.sha256(), 0
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        pending = bytearray()

        def flush() -> None:
            digest.update(pending)
            file.write(pending)
            pending.clear()

        async for chunk in request.stream():
            pending += chunk
            size += len(chunk)
            if len(pending) >= _BLOCK:
                await asyncio.to_thread(flush)
        flush()
    wanted = request.headers.get("content-length")
    if wanted is not None and wanted.isdigit() and int(wanted) != size:
        raise invalid(f"the upload has ended after {size} of {wanted} bytes")
    return digest.hexdigest(), size


async def _blocks(opened: BinaryIO):  # type: ignore[no-untyped-def]
    try:
        while block := await asyncio.to_thread(opened.read, _BLOCK):
            yield block
    finally:
        opened.close()


@reads
def listing(sql: Sql, call: Call) -> Shape:
    """`GET /mlflow-artifacts/artifacts?path=`: names only, as they are in that folder."""
    folder = artifacts.clean(body.text(call.body, "path", ""))
    if not folder:
        raise invalid("name the folder to list: EXPERIMENT_ID/…")
    call.caller.read(project_of(sql, folder))
    return {"files": _listed(sql, folder, folder)}


def _listed(sql: Sql, folder: str, root: str) -> list[Shape]:
    folders, files = artifacts.listing(sql, folder)
    return shapes.files(folders, [(each.path, each.size) for each in files], root)


@reads
def of_run(sql: Sql, call: Call) -> Shape:
    """`GET /mlflow/artifacts/list`: paths from the run's root."""
    uuid = body.either(call.body, "run_id", "run_uuid")
    call.caller.read(runs.place(sql, uuid).project_id)
    root = runs.get(sql, uuid).artifact_uri
    return {"root_uri": root, "files": _below(sql, root, body.text(call.body, "path", ""))}


@reads
def of_model(sql: Sql, call: Call) -> Shape:
    uuid = body.text(call.body, "model_id")
    call.caller.read(logged_models.place(sql, uuid)[1])
    root = logged_models.get(sql, uuid).artifact_uri
    return {"root_uri": root, "files": _below(sql, root, body.text(call.body, "artifact_directory_path", ""))}


def _below(sql: Sql, uri: str, path: str) -> list[Shape]:
    root = path_of(uri)
    inner = artifacts.clean(path)
    return _listed(sql, f"{root}/{inner}" if inner else root, root)
