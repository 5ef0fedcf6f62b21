"""/riad/ports: every published port, and who can reach it."""

from __future__ import annotations

from aiohttp import web

from riad.engine.dockerapi.wire import Shape, json_response
from riad.engine.networks.networks import Networks
from riad.engine.networks.reach import PortReach


def routes(*, networks: Networks) -> list[web.RouteDef]:
    async def ports(_: web.Request) -> web.Response:
        return json_response([port_shape(found) for found in await networks.reach()])

    return [web.get("/riad/ports", ports)]


def port_shape(found: PortReach) -> Shape:
    """`Reach`: nobody, this host, local network or everyone; `Certain`: the host's rules leave no doubt of that."""
    return {
        "ContainerId": found.container_id,
        "Name": found.name,
        "PrivatePort": found.port.container_port,
        "Type": found.port.proto,
        "HostIp": found.port.host_ip,
        "HostPort": found.port.host_port,
        "Reach": found.answer.reach.value,
        "Certain": found.answer.certain,
        "Because": found.answer.because,
    }
