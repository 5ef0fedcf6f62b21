"""Swarm, managed plugins and checkpoints: answered as a Docker engine answers where they are switched off.

Clients ask these routes also where nobody uses the feature (`docker inspect` looks for plugins of that name, `docker
info` for the swarm), and compare the sentences.
"""

from __future__ import annotations

from aiohttp import web

from riad.engine.containers.engine import Engine
from riad.engine.dockerapi.wire import json_response
from riad.kernel.faults import Fault, Kind, not_found, unsupported

NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
NO_SWARM = "This node is not part of a swarm"
NOT_EXPERIMENTAL = (
    "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to "
    "enable it."
)
_LISTS = ("nodes", "services", "tasks", "secrets", "configs")
_MEMBER_VERBS = ("enable", "disable", "set", "upgrade", "push")


def routes(*, engine: Engine) -> list[web.RouteDef]:
    async def checkpoints(request: web.Request) -> web.Response:
        engine.registry.find(request.match_info["name"])
        raise unsupported(NOT_EXPERIMENTAL)

    return [*_swarm(), *_plugins(), web.route("*", r"/containers/{name}/checkpoints{rest:(/.*)?}", checkpoints)]


def _swarm() -> list[web.RouteDef]:
    async def no_manager(_: web.Request) -> web.Response:
        raise Fault(Kind.UNAVAILABLE, NO_MANAGER)

    async def no_swarm(_: web.Request) -> web.Response:
        raise Fault(Kind.UNAVAILABLE, NO_SWARM)

    async def not_locked(_: web.Request) -> web.Response:
        raise Fault(Kind.CONFLICT, "swarm is not locked")

    async def single(_: web.Request) -> web.Response:
        raise unsupported(
            "riad: this engine serves one host and has no swarm mode; run several containers with Compose, or deploy "
            "to Kubernetes"
        )

    return [
        web.post("/swarm/init", single),
        web.post("/swarm/join", single),
        web.post("/swarm/leave", no_swarm),
        web.post("/swarm/unlock", not_locked),
        web.route("*", r"/swarm{rest:(/.*)?}", no_manager),
        *(web.route("*", rf"/{what}{{rest:(/.*)?}}", no_manager) for what in _LISTS),
    ]


def _plugins() -> list[web.RouteDef]:
    async def every(_: web.Request) -> web.Response:
        return json_response([])

    async def missing(request: web.Request) -> web.Response:
        raise not_found(f'plugin "{request.match_info["name"]}" not found')

    async def unmanaged(_: web.Request) -> web.Response:
        raise unsupported("riad: this engine has no managed plugins; volumes and networks use its own drivers")

    return [
        web.get("/plugins", every),
        web.get("/plugins/privileges", unmanaged),
        web.post("/plugins/pull", unmanaged),
        web.post("/plugins/create", unmanaged),
        web.get("/plugins/{name:.+}/json", missing),
        *(web.post(f"/plugins/{{name:.+}}/{verb}", missing) for verb in _MEMBER_VERBS),
        web.delete("/plugins/{name:.+}", missing),
    ]
