"""/containers/ID/changes and /export: what a container changed, and all its files as a tar."""

from __future__ import annotations

import asyncio

from aiohttp import web

from riad.engine.containers import changes
from riad.engine.containers.engine import Engine
from riad.engine.containers.export import exporting
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.wire import STARTED, json_response


def routes(*, engine: Engine) -> list[web.RouteDef]:
    async def changed(request: web.Request) -> web.Response:
        container = engine.registry.find(request.match_info["id"])
        layers = [engine.images.layers.get(layer).path for layer in container.layers]
        upper = engine.paths.folder(container.id) / "diff"
        found = await asyncio.to_thread(changes.changes, upper, layers)
        return json_response([{"Path": change.path, "Kind": int(change.kind)} for change in found])

    @cancellable
    async def export(request: web.Request) -> web.StreamResponse:
        container = engine.registry.find(request.match_info["id"])
        async with exporting(engine, container) as pieces:
            response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
            first = await asyncio.to_thread(next, pieces, None)
            request[STARTED] = True
            await response.prepare(request)
            piece = first
            while piece is not None:
                await response.write(piece)
                piece = await asyncio.to_thread(next, pieces, None)
            await response.write_eof()
            return response

    one = "/containers/{id:/?[^/]+}"
    return [web.get(one + "/changes", changed), web.get(one + "/export", export, allow_head=False)]
