"""The three addresses of a repository: `/GROUP/NAME.git/info/refs`, `git-upload-pack`, `git-receive-pack`.

With and without `.git`, as people type both.
"""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from riad.forge import gitprogram
from riad.kernel import process
from riad.kernel.faults import Fault, Kind, denied, unsupported
from riad.protocols.git import errors
from riad.protocols.git.access import Allowed, Service, allow
from riad.protocols.git.pktline import FLUSH, packet
from riad.protocols.git.receive import Push
from riad.protocols.git.services import Services
from riad.protocols.git.upload import Upload

ADVERTISING = 60.0
_PROTOCOL = re.compile(r"[a-z0-9=:.-]{1,64}")


def router(services: Services) -> APIRouter:
    return _Routes(services).router


class _Routes:
    def __init__(self, services: Services) -> None:
        self._services = services
        self.router = APIRouter(include_in_schema=False, tags=["git"])
        add = self.router.add_api_route
        add("/{group}/{name}/info/refs", self._refs, methods=["GET"], response_model=None)
        add("/{group}/{name}/git-upload-pack", self._upload, methods=["POST"], response_model=None)
        add("/{group}/{name}/git-receive-pack", self._receive, methods=["POST"], response_model=None)
        add("/{group}/{name}/info/lfs/{rest:path}", self._lfs, methods=["GET", "POST"], response_model=None)

    async def _allowed(self, request: Request, group: str, name: str, service: Service) -> Allowed:
        path = f"{group}/{name.removesuffix('.git')}"
        return await run_in_threadpool(allow, self._services, path, service, request.headers.get("authorization"))

    async def _refs(self, request: Request, group: str, name: str) -> Response:
        try:
            asked = request.query_params.get("service", "")
            if asked not in set(Service):
                raise denied("Riad speaks git's smart protocol only; this client (or proxy) asks for the dumb one")
            service = Service(asked)
            allowed = await self._allowed(request, group, name, service)
            return await self._advertise(allowed, service, _protocol(request))
        except Fault as fault:
            return errors.answer(fault)

    async def _advertise(self, allowed: Allowed, service: Service, protocol: str | None) -> Response:
        repository = self._services.repositories.existing(allowed.project.storage)
        command = service.removeprefix("git-")
        done = await process.run(
            [gitprogram.GIT, command, "--stateless-rpc", "--http-backend-info-refs", repository],
            timeout=ADVERTISING,
            environ=gitprogram.environment(protocol=protocol),
        )
        second = service is Service.UPLOAD and "version=2" in (protocol or "").split(":")
        head = b"" if second else packet(f"# service={service}\n".encode()) + FLUSH
        media_type = f"application/x-{service}-advertisement"
        return Response(head + done.stdout, media_type=media_type, headers=errors.NEVER_CACHED)

    async def _upload(self, request: Request, group: str, name: str) -> Response:
        try:
            allowed = await self._posted(request, group, name, Service.UPLOAD)
            repository = self._services.repositories.existing(allowed.project.storage)
            return Upload(repository, protocol=_protocol(request), gzipped=_gzipped(request))
        except Fault as fault:
            return errors.answer(fault)

    async def _receive(self, request: Request, group: str, name: str) -> Response:
        try:
            allowed = await self._posted(request, group, name, Service.RECEIVE)
            repository = self._services.repositories.existing(allowed.project.storage)
            return Push(self._services, allowed, repository, gzipped=_gzipped(request))
        except Fault as fault:
            return errors.answer(fault)

    async def _posted(self, request: Request, group: str, name: str, service: Service) -> Allowed:
        wanted = f"application/x-{service}-request"
        if request.headers.get("content-type", "").partition(";")[0].strip() != wanted:
            raise Fault(Kind.INVALID, f"the content type has to be {wanted}")
        return await self._allowed(request, group, name, service)

    async def _lfs(self, group: str, name: str, rest: str) -> Response:
        return errors.answer(unsupported("Riad does not keep Git LFS objects yet; commit the files themselves"))


def _protocol(request: Request) -> str | None:
    """Handed to git through its environment, so only what looks like a protocol version passes."""
    header = request.headers.get("git-protocol", "")
    return header if _PROTOCOL.fullmatch(header) else None


def _gzipped(request: Request) -> bool:
    """Raises UNSUPPORTED for any other encoding."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise unsupported(f"a body encoded as {encoding[:40]!r} is not supported; gzip is")
    return encoding != "identity"
