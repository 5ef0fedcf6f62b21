"""/networks: list, inspect, create, remove, prune, connect and disconnect."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from riad.engine.dockerapi import network_filters as filtering
from riad.engine.dockerapi.filters import parse_filters
from riad.engine.dockerapi.network_bodies import container_of, read_endpoint, read_network
from riad.engine.dockerapi.network_shapes import containers_shape, network_shape
from riad.engine.dockerapi.wire import json_body, json_response, no_content
from riad.engine.networks import options
from riad.engine.networks.model import EndpointWish, Network
from riad.engine.networks.networks import Networks
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault, Kind


class Containers(Protocol):
    """What the routes need of containers: their networks are part of what they were asked to be."""

    async def connect(self, reference: str, network: Network, wish: EndpointWish) -> None:
        """By name or id, running or not. Raises NOT_FOUND, DENIED, INVALID, CONFLICT."""

    async def disconnect(self, reference: str, network: Network, *, force: bool) -> None:
        """`force` also forgets a container that is gone."""


def routes(*, networks: Networks, containers: Containers, clock: Clock) -> list[web.RouteDef]:
    async def index(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=filtering.LIST_FILTERS)
        found = [network for network in networks.all() if filtering.matches(network, filters, networks)]
        return json_response([network_shape(network) for network in found])

    async def inspect(request: web.Request) -> web.Response:
        if request.query.get("scope", "local") not in ("local", ""):
            raise Fault(Kind.NOT_FOUND, f"network {request.match_info['id']} not found")
        network = networks.get(request.match_info["id"])
        return json_response(network_shape(network) | {"Containers": containers_shape(network, networks)})

    async def create(request: web.Request) -> web.Response:
        network = await networks.create(read_network(await json_body(request)))
        return json_response({"Id": network.id, "Warning": _warning(network)}, status=201)

    async def remove(request: web.Request) -> web.Response:
        await networks.remove(request.match_info["id"])
        return no_content()

    async def connect(request: web.Request) -> web.Response:
        body = await json_body(request)
        network = networks.get(request.match_info["id"])
        await containers.connect(container_of(body), network, read_endpoint(body.get("EndpointConfig")))
        return web.Response(status=200)

    async def disconnect(request: web.Request) -> web.Response:
        body = await json_body(request)
        network = networks.get(request.match_info["id"])
        await containers.disconnect(container_of(body), network, force=bool(body.get("Force")))
        return web.Response(status=200)

    async def prune(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=filtering.PRUNE_FILTERS)
        until = filtering.until(filters.get("until"), clock)
        doomed = [network for network in networks.all() if filtering.prunable(network, filters, until, networks)]
        for network in doomed:
            await networks.remove(network.id)
        return json_response({"NetworksDeleted": [network.name for network in doomed] or None})

    return [
        web.get("/networks", index),
        web.get("/networks/", index),
        web.post("/networks/create", create),
        web.post("/networks/prune", prune),
        web.get("/networks/{id:.+}", inspect),
        web.delete("/networks/{id}", remove),
        web.post("/networks/{id}/connect", connect),
        web.post("/networks/{id}/disconnect", disconnect),
    ]


def _warning(network: Network) -> str:
    if not network.driver.gives_links:
        return ""
    unknown = options.strangers(network.driver.value, network.options)
    if not unknown:
        return ""
    return f"the {network.driver.value} driver does not know the option {', '.join(unknown)}: it changes nothing"
