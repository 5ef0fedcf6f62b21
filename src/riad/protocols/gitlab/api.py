"""From a request to an answer: authenticate, check the token's scope, read the parameters, call one handler, render.

A handler is a plain function `(Call) -> value | Answer`; it runs in a thread and raises faults. `Api` makes routes of
handlers:

    def router(services: Services) -> APIRouter:
        api = Api(services.database, services.clock)
        api.get("/projects/{id}", partial(show, services))
        return api.router
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from riad.identity import permissions
from riad.identity.model import Principal, Scope, User
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import unauthenticated
from riad.protocols.gitlab import errors, pages, params
from riad.protocols.gitlab.auth import Authenticate
from riad.protocols.gitlab.params import Params
from riad.protocols.gitlab.routing import PREFIX, GitLabRoute
from riad.protocols.gitlab.shapes.moments import moment as moment


@dataclass(frozen=True, slots=True)
class Call:
    """One request, authenticated and read. `path` holds the path's parameters, decoded."""

    principal: Principal
    params: Params
    path: Mapping[str, str]
    request: Request

    @property
    def user(self) -> User:
        """Raises UNAUTHENTICATED for an anonymous call."""
        if self.principal.user is None:
            raise unauthenticated("401 Unauthorized")
        return self.principal.user

    @property
    def page(self) -> pages.Page:
        return pages.asked(self.params)

    def number(self, name: str, *, what: str) -> int:
        """A number of the path. Raises INVALID for anything else."""
        found = params.whole(self.path[name])
        if found is None:
            raise errors.BadParameters(f"{name} is invalid")
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is made JSON unless it is bytes (sent as `media_type`); None with 204 sends no body."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/octet-stream"


NO_CONTENT = Answer(status=204)

Handler = Callable[[Call], object]


def listed(call: Call, items: Sequence[object], *, total: int | None, more: bool | None = None) -> Answer:
    """One page of a list that holds `total` things in all (None: not counted, `more` says whether there are more)."""
    return Answer(list(items), headers=pages.headers(call.request, call.page, total=total, more=more))


class Api:
    """Collects handlers as routes below /api/v4 (or another prefix). Reading takes the scope read_api, the rest api,
    unless said.
    """

    def __init__(self, database: Database, clock: Clock, *, prefix: str = PREFIX) -> None:
        self.router = APIRouter(prefix=prefix, route_class=GitLabRoute, tags=["gitlab"])
        self._authenticate = Authenticate(database, clock)

    def get(self, path: str, handler: Handler, *, scope: Scope = Scope.READ_API) -> None:
        self._add("GET", path, handler, scope)
        self._add("HEAD", path, handler, scope)

    def post(self, path: str, handler: Handler, *, status: int = 201, scope: Scope = Scope.API) -> None:
        self._add("POST", path, handler, scope, status=status)

    def put(self, path: str, handler: Handler, *, scope: Scope = Scope.API) -> None:
        self._add("PUT", path, handler, scope)

    def patch(self, path: str, handler: Handler, *, scope: Scope = Scope.API) -> None:
        self._add("PATCH", path, handler, scope)

    def delete(self, path: str, handler: Handler, *, scope: Scope = Scope.API) -> None:
        self._add("DELETE", path, handler, scope)

    def _add(self, method: str, path: str, handler: Handler, scope: Scope, *, status: int = 200) -> None:
        async def endpoint(request: Request) -> Response:
            given = await params.read(request)
            return await run_in_threadpool(self._answer, handler, request, given, scope, status)

        self.router.add_api_route(
            path, endpoint, methods=[method], include_in_schema=False, response_model=None, name=path
        )

    def _answer(self, handler: Handler, request: Request, given: Params, scope: Scope, status: int) -> Response:
        if any("\0" in str(value) for value in request.path_params.values()):
            raise errors.BadParameters("the address holds a NUL")
        principal = self._authenticate(request)
        permissions.require_scope(principal, scope)
        result = handler(Call(principal=principal, params=given, path=request.path_params, request=request))
        if isinstance(result, Response):
            return result
        return _response(result if isinstance(result, Answer) else Answer(result, status=status))


def _response(answer: Answer) -> Response:
    headers: dict[str, Any] = dict(answer.headers)
    if answer.status == 204:
        return Response(status_code=204, headers=headers)
    if isinstance(answer.body, bytes):
        return Response(answer.body, status_code=answer.status, headers=headers, media_type=answer.media_type)
    return JSONResponse(answer.body, status_code=answer.status, headers=headers)
