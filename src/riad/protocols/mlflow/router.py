"""MLflow's API under its own addresses, and for one project under GitLab's.

- `/api/2.0/mlflow/…`: what belongs to no project, and, for experiments named GROUP/PROJECT/NAME, to that project. With
  a job's token: the job's own project.
- `/api/v4/projects/ID/ml/mlflow/api/2.0/mlflow/…`: that project's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from riad.identity.model import Kind as PrincipalKind
from riad.kernel import logs
from riad.kernel.faults import Fault, Kind
from riad.ml.sql import reading
from riad.protocols.mlflow import artifacts, body, errors, routes
from riad.protocols.mlflow.access import Access, Caller
from riad.protocols.mlflow.handlers import Call, Handler
from riad.protocols.mlflow.services import Services

log = logs.named("mlflow")
Endpoint = Callable[[Request], Awaitable[Response]]
_PREFIXES = ("", "/api/v4/projects/{project:path}/ml/mlflow")
_METHODS = ["GET", "POST", "PATCH", "DELETE"]


def router(services: Services) -> APIRouter:
    found = APIRouter(include_in_schema=False)
    face = _Face(services)
    for prefix in _PREFIXES:
        for api in ("api", "ajax-api"):
            base = f"{prefix}/{api}/{{version}}"
            found.add_route(f"{base}/mlflow/{{rest:path}}", face.answered(face.call), methods=_METHODS)
            files = f"{base}/mlflow-artifacts/artifacts"
            found.add_route(files, face.answered(face.list_files), methods=["GET"])
            for method in ("GET", "PUT", "DELETE"):
                found.add_route(f"{files}/{{path:path}}", face.answered(face.file), methods=[method])
        if prefix:  # where clients' links for people begin; what follows `#` goes along
            found.add_route(prefix, face.to_pages, methods=["GET"])
            found.add_route(f"{prefix}/", face.to_pages, methods=["GET"])
        found.add_route(f"{prefix}/version", face.version, methods=["GET"])
        found.add_route(f"{prefix}/health", face.health, methods=["GET"])
    return found


class _Face:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services.database, services.clock)
        self._artifacts = artifacts.Artifacts(services)

    def answered(self, endpoint: Endpoint) -> Endpoint:
        """Faults in MLflow's own shape."""

        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except Fault as fault:
                return errors.answer(fault)
            except ClientDisconnect:
                return Response(status_code=499)  # nobody is there to read it
            except Exception:
                log.exception("a request failed", extra=logs.fields(path=request.url.path))
                return errors.answer(Fault(Kind.INTERNAL, "Riad made a mistake; its log says more"))

        return answer

    async def call(self, request: Request) -> Response:
        handler, named = routes.find(request.method, request.path_params["rest"])
        caller = await self._caller(request)
        asked = {**await body.of(request), **named}
        return await self._carry_out(handler, Call(caller, asked, self._services.now()))

    async def _carry_out(self, handler: Handler, call: Call) -> Response:
        if handler.writes:
            done = orjson.dumps(await self._services.writer.write(lambda sql: handler.work(sql, call)))
        else:
            done = await run_in_threadpool(self._read, handler, call)
        return Response(done, media_type="application/json")

    def _read(self, handler: Handler, call: Call) -> bytes:
        with reading(self._services.database) as sql:
            return orjson.dumps(handler.work(sql, call))

    async def _caller(self, request: Request) -> Caller:
        principal = await self._access.principal(request)
        reference = request.path_params.get("project")
        if reference is None and principal.kind is PrincipalKind.JOB:
            reference = str(principal.project_id)
        project = await run_in_threadpool(self._access.project, reference) if reference is not None else None
        return Caller(principal, self._access, project)

    async def file(self, request: Request) -> Response:
        caller, path = await self._caller(request), request.path_params["path"]
        if request.method == "PUT":
            return await self._artifacts.upload(request, caller, path)
        if request.method == "DELETE":
            return await self._artifacts.remove(caller, path)
        return await self._artifacts.download(caller, path)

    async def list_files(self, request: Request) -> Response:
        call = Call(await self._caller(request), await body.of(request), self._services.now())
        return await self._carry_out(artifacts.listing, call)

    async def to_pages(self, _: Request) -> Response:
        return RedirectResponse("/-/ml/experiments", 302)

    async def version(self, _: Request) -> Response:
        return Response(VERSION, media_type="text/plain")

    async def health(self, _: Request) -> Response:
        return Response("OK", media_type="text/plain")


VERSION = "3.17.0"
"""Of the MLflow whose API this is; clients choose by it what they ask for."""
