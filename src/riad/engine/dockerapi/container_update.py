"""POST /containers/ID/update: new limits and another restart policy for a container, running or not."""

from __future__ import annotations

from aiohttp import web

from riad.engine.containers.engine import Engine
from riad.engine.containers.update import Wish, update
from riad.engine.dockerapi.create_body.fields import refuse_unknown
from riad.engine.dockerapi.create_body.resources import CHANGEABLE, read_nano_cpus, read_resources
from riad.engine.dockerapi.create_body.restart import read_restart
from riad.engine.dockerapi.wire import Shape, json_body, json_response, version_of
from riad.oci.fields import field

_PIDS_SINCE = (1, 40)


def routes(*, engine: Engine) -> list[web.RouteDef]:
    async def change(request: web.Request) -> web.Response:
        body = await json_body(request)
        container = engine.registry.find(request.match_info["id"])
        if version_of(request) < _PIDS_SINCE:
            body.pop("PidsLimit", None)
        warnings = await update(engine, container, read_wish(body))
        return json_response({"Warnings": list(warnings) or None})

    return [web.post("/containers/{id:/?[^/]+}/update", change)]


def read_wish(body: Shape) -> Wish:
    """Raises INVALID for a value, UNSUPPORTED naming a field that only a new container can have."""
    refuse_unknown(body, CHANGEABLE | {"RestartPolicy"}, "")
    restart: Shape = field(body, "RestartPolicy", dict, {})
    return Wish(
        resources=read_resources(body, update=True),
        nano_cpus=read_nano_cpus(body),
        restart=read_restart(restart) if restart.get("Name") or restart.get("MaximumRetryCount") else None,
    )
