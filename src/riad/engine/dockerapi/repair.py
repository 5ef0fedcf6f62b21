"""/riad/repair: orphans of the engine, listed (GET) and taken away (POST). A route of our own, without version."""

from __future__ import annotations

from aiohttp import web

from riad.engine.dockerapi.wire import Shape, flag, json_response
from riad.engine.repair import removing, search
from riad.engine.repair.known import Places
from riad.engine.repair.orphans import Orphan
from riad.engine.state import State


def routes(*, state: State, places: Places) -> list[web.RouteDef]:
    async def find(_: web.Request) -> web.Response:
        return json_response({"orphans": [shape(each) for each in await search.of_running(state.connection, places)]})

    async def repair(request: web.Request) -> web.Response:
        found = await search.of_running(state.connection, places)
        gone, complaints = await removing.remove(found, volumes=flag(request.query, "volumes"))
        return json_response({"removed": [shape(each) for each in gone], "complaints": complaints})

    return [web.get("/riad/repair", find), web.post("/riad/repair", repair)]


def shape(orphan: Orphan) -> Shape:
    return {"kind": orphan.kind, "name": orphan.name, "size": orphan.size}
