"""Routes as GitLab has them: a segment may hold an encoded slash (`/projects/demo%2Fflask-hello`), and a fault raised
anywhere in a handler becomes GitLab's error body.

Starlette matches on the decoded path, where that slash would split the segment. So a route is matched here on a path
whose segments are decoded one by one, their own slashes left encoded, and the parameters are decoded afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from riad.kernel import logs
from riad.kernel.faults import Fault, Kind
from riad.protocols.gitlab import errors

log = logs.named("gitlab")

PREFIX = "/api/v4"
_BELOW = "/api/"


def segments_kept(scope: Scope) -> str:
    """The request's path, decoded but for slashes (`%2F`) and percent signs (`%25`) inside a segment."""
    raw: bytes = scope.get("raw_path") or b""
    if not raw:
        return str(scope["path"])
    return "/".join(_segment(segment) for segment in raw.partition(b"?")[0].split(b"/"))


def _segment(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode(errors="replace").replace("%", "%25").replace("/", "%2F")


class GitLabRoute(APIRoute):
    """Use as `APIRouter(prefix=PREFIX, route_class=GitLabRoute)`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or not str(scope["path"]).startswith(_BELOW):
            return Match.NONE, {}
        match, child = super().matches({**scope, "path": segments_kept(scope)})
        if match is not Match.NONE and "path_params" in child:
            given = child["path_params"]
            child["path_params"] = {k: unquote(v) if isinstance(v, str) else v for k, v in given.items()}
        return match, child

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except Fault as fault:
                return errors.answer(fault)
            except RequestValidationError as error:
                return errors.answer(errors.BadParameters(*map(_problem, error.errors())))
            except Exception as error:  # a request ends here
                if _is_http(error):
                    raise
                log.exception("request failed", extra=logs.fields(method=request.method, path=request.url.path))
                return errors.answer(Fault(Kind.INTERNAL, "500 Internal Server Error; the server's log has the reason"))

        return guarded


def _is_http(error: Exception) -> bool:
    return type(error).__module__.startswith(("starlette", "fastapi"))


def _problem(error: Any) -> str:
    name = str(error["loc"][-1])
    return f"{name} is missing" if error["type"] == "missing" else f"{name} is invalid"
