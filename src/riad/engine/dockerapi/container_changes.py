"""/riad/containers/{id}: what Docker changes only by a new container: ports at once, mounts and environment."""

from __future__ import annotations

from aiohttp import web

from riad.engine.containers.engine import Engine
from riad.engine.containers.remake import Remaking, remake
from riad.engine.containers.republish import PortChanges, republish
from riad.engine.dockerapi.container_shapes.inspect import port_map
from riad.engine.dockerapi.create_body.fields import Json, refuse_unknown
from riad.engine.dockerapi.create_body.mounts import read_mount_list
from riad.engine.dockerapi.create_body.networking import read_bindings
from riad.engine.dockerapi.wire import json_body, json_response
from riad.kernel.faults import invalid
from riad.oci.fields import field, texts

_PORTS = frozenset({"PortBindings", "Remove"})
_RECREATE = frozenset({"Env", "Binds", "Mounts", "RemoveMounts", "Timeout"})


def routes(*, engine: Engine) -> list[web.RouteDef]:
    async def ports(request: web.Request) -> web.Response:
        """`PortBindings` (as of create) are added, the host's ports in `Remove` given up; answers what is published."""
        changes = read_port_changes(await json_body(request))
        container = await republish(engine, engine.registry.find(request.match_info["id"]), changes)
        return json_response({"Id": container.id, "Ports": port_map(engine, container)})

    async def recreate(request: web.Request) -> web.Response:
        """`Env` ("NAME=value", or "NAME" to take away), `Binds`, `Mounts` (as of create), `RemoveMounts` (targets)."""
        body = await json_body(request)
        changes = read_remaking(body)
        timeout = field(body, "Timeout", int, -1)
        container = await remake(
            engine,
            engine.registry.find(request.match_info["id"]),
            changes,
            timeout=timeout if timeout >= 0 else None,
        )
        return json_response({"Id": container.id, "Warnings": []})

    return [
        web.post("/riad/containers/{id}/ports", ports),
        web.post("/riad/containers/{id}/recreate", recreate),
    ]


def read_port_changes(body: Json) -> PortChanges:
    refuse_unknown(body, _PORTS, "")
    changes = PortChanges(add=tuple(read_bindings(field(body, "PortBindings", dict, {}))), remove=texts(body, "Remove"))
    if changes == PortChanges():
        raise invalid("nothing to change: name PortBindings to publish or ports to Remove")
    return changes


def read_remaking(body: Json) -> Remaking:
    refuse_unknown(body, _RECREATE, "")
    changes = Remaking(
        environment=texts(body, "Env"),
        binds=texts(body, "Binds"),
        mounts=read_mount_list(body),
        remove=texts(body, "RemoveMounts"),
    )
    if changes == Remaking():
        raise invalid("nothing to change: name Env, Binds, Mounts or RemoveMounts")
    return changes
