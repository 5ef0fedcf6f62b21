"""All routes of the forge's part of GitLab's API, and the answer to those that nobody has."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from riad.protocols.gitlab import commits, files, groups, members, meta, projects, refs, tokens, users
from riad.protocols.gitlab.routing import PREFIX
from riad.protocols.gitlab.services import Services


def router(services: Services) -> APIRouter:
    every = APIRouter()
    for part in (meta, users, tokens, groups, projects, members, refs, commits, files):
        every.include_router(part.router(services))
    return every


def fallback() -> APIRouter:
    """GitLab's 404 for what no route knows. To be included after every other router below /api/v4."""
    last = APIRouter(prefix=PREFIX, include_in_schema=False)
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]

    async def unknown(request: Request) -> Response:
        return JSONResponse({"error": "404 Not Found"}, status_code=404)

    last.add_api_route("/{rest:path}", unknown, methods=methods, response_model=None)
    return last
