"""/networks: list, inspect, create, remove, prune, connect and disconnect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Any, Protocol

from aiohttp import web

from riad.engine.dockerapi.filters import Filters, has_label, parse_filters
from riad.engine.dockerapi.volumes import matches_name, texts
from riad.engine.dockerapi.wire import ZERO_TIME, Shape, json_body, json_response, no_content, parse_moment
from riad.engine.networks.create import NetworkWish, PoolWish
from riad.engine.networks.model import PREDEFINED, Driver, Endpoint, EndpointWish, Network
from riad.engine.networks.networks import Networks
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault, Kind, invalid, unsupported

_LIST_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
_PRUNE_FILTERS = ("label", "label!", "until")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class Containers(Protocol):
    """What the routes need of containers: their networks are part of what they were asked to be."""

    async def connect(self, reference: str, network: Network, wish: EndpointWish) -> None:
        """By name or id, running or not. Raises NOT_FOUND, DENIED, INVALID, CONFLICT."""

    async def disconnect(self, reference: str, network: Network, *, force: bool) -> None:
        """`force` also forgets a container that is gone."""


def routes(*, networks: Networks, containers: Containers, clock: Clock) -> list[web.RouteDef]:
    async def index(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=_LIST_FILTERS)
        found = [network for network in networks.all() if _matches(network, filters, networks)]
        return json_response([network_shape(network) for network in found])

    async def inspect(request: web.Request) -> web.Response:
        if request.query.get("scope", "local") not in ("local", ""):
            raise Fault(Kind.NOT_FOUND, f"network {request.match_info['id']} not found")
        network = networks.get(request.match_info["id"])
        return json_response(network_shape(network) | {"Containers": _containers_shape(network, networks)})

    async def create(request: web.Request) -> web.Response:
        network = await networks.create(read_network(await json_body(request)))
        return json_response({"Id": network.id, "Warning": ""}, status=201)

    async def remove(request: web.Request) -> web.Response:
        await networks.remove(request.match_info["id"])
        return no_content()

    async def connect(request: web.Request) -> web.Response:
        body = await json_body(request)
        network = networks.get(request.match_info["id"])
        await containers.connect(_container(body), network, read_endpoint(body.get("EndpointConfig")))
        return web.Response(status=200)

    async def disconnect(request: web.Request) -> web.Response:
        body = await json_body(request)
        network = networks.get(request.match_info["id"])
        await containers.disconnect(_container(body), network, force=bool(body.get("Force")))
        return web.Response(status=200)

    async def prune(request: web.Request) -> web.Response:
        filters = parse_filters(request.query.get("filters"), known=_PRUNE_FILTERS)
        until = _until(filters.get("until"), clock)
        doomed = [network for network in networks.all() if _prunable(network, filters, until, networks)]
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


# what is sent


def network_shape(network: Network) -> Shape:
    """A network as lists show it; inspect adds the real containers."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created if network.driver is Driver.BRIDGE else ZERO_TIME,
        "Scope": "local",
        "Driver": network.driver.value,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": dict(network.ipam_options) or None, "Config": _pool_shape(network)},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": _default_options(network) if network.is_default else dict(network.options),
        "Labels": dict(network.labels),
    }


def _pool_shape(network: Network) -> list[Shape]:
    if network.pool is None:
        return []
    shape: Shape = {"Subnet": str(network.pool.subnet), "Gateway": str(network.pool.gateway)}
    if network.pool.range is not None:
        shape["IPRange"] = str(network.pool.range)
    if network.pool.reserved:
        shape["AuxiliaryAddresses"] = {name: str(address) for name, address in network.pool.reserved.items()}
    return [shape]


def _default_options(network: Network) -> Shape:
    return {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": network.host_binding,
        "com.docker.network.bridge.name": network.bridge,
        "com.docker.network.driver.mtu": str(network.mtu),
    }


def _containers_shape(network: Network, networks: Networks) -> Shape:
    return {
        row.container_id: {
            "Name": row.name,
            "EndpointID": endpoint.id,
            "MacAddress": endpoint.mac,
            "IPv4Address": f"{endpoint.address}/{_subnet(network).prefixlen}",
            "IPv6Address": "",
        }
        for row, endpoint in networks.endpoints_in(network)
    }


def endpoint_shape(network: Network, endpoint: Endpoint | None, wish: EndpointWish, *, names: list[str]) -> Shape:
    """One entry of a container's NetworkSettings.Networks; without an endpoint the container is not running."""
    pool = network.pool if endpoint is not None else None
    return {
        "IPAMConfig": {"IPv4Address": wish.ipv4} if wish.ipv4 else None,
        "Links": None,
        "Aliases": list(wish.aliases) or None,
        "MacAddress": endpoint.mac if endpoint else wish.mac,
        "DriverOpts": None,
        "NetworkID": network.id,
        "EndpointID": endpoint.id if endpoint else "",
        "Gateway": str(pool.gateway) if pool and not network.internal else "",
        "IPAddress": str(endpoint.address) if endpoint else "",
        "IPPrefixLen": pool.subnet.prefixlen if pool else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": names if network.has_names else None,
    }


def _subnet(network: Network) -> IPv4Network:
    if network.pool is None:
        raise Fault(Kind.INTERNAL, f"network {network.name} has endpoints but no addresses")
    return network.pool.subnet


# what is received


def read_network(body: Shape) -> NetworkWish:
    """The body of /networks/create. Raises INVALID or UNSUPPORTED naming the field."""
    for name in ("Ingress", "ConfigOnly"):
        if body.get(name):
            raise unsupported(f"{name} networks are not supported: they need a swarm")
    if _object(body, "ConfigFrom").get("Network"):
        raise unsupported("ConfigFrom is not supported: give the network its own settings")
    if body.get("Scope") not in (None, "", "local"):
        raise invalid(f"Scope {body['Scope']!r}: this node is not a swarm manager; only local networks can be made")
    if body.get("EnableIPv4") is False:
        raise unsupported("EnableIPv4=false is not supported: networks are IPv4")
    ipam = _object(body, "IPAM")
    configs = ipam.get("Config") or []
    if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
        raise invalid("IPAM.Config: expected a list of objects")
    return NetworkWish(
        name=_text(body, "Name"),
        driver=_text(body, "Driver"),
        internal=bool(body.get("Internal")),
        attachable=bool(body.get("Attachable")),
        ipv6=bool(body.get("EnableIPv6")),
        pools=tuple(_read_pool(config) for config in configs),
        ipam_driver=_text(ipam, "Driver"),
        ipam_options=texts(ipam, "Options"),
        labels=texts(body, "Labels"),
        options=texts(body, "Options"),
    )


def _read_pool(config: Mapping[str, Any]) -> PoolWish:
    shape = dict(config)
    return PoolWish(
        subnet=_text(shape, "Subnet"),
        ip_range=_text(shape, "IPRange"),
        gateway=_text(shape, "Gateway"),
        reserved=texts(shape, "AuxiliaryAddresses") or texts(shape, "AuxAddress"),
    )


def read_endpoint(value: object) -> EndpointWish:
    """An EndpointSettings object of connect or of a container's NetworkingConfig; raises naming the field."""
    if value is None:
        return EndpointWish()
    if not isinstance(value, dict):
        raise invalid("EndpointConfig: expected an object")
    ipam = _object(value, "IPAMConfig")
    if ipam.get("IPv6Address"):
        raise unsupported("IPAMConfig.IPv6Address is not supported yet: leave it out")
    if ipam.get("LinkLocalIPs"):
        raise unsupported("IPAMConfig.LinkLocalIPs is not supported: leave it out")
    if value.get("Links"):
        raise unsupported("Links are not supported: containers of one network find each other by name")
    if texts(value, "DriverOpts"):
        raise unsupported(f"endpoint option {next(iter(value['DriverOpts']))!r} is not supported")
    aliases = value.get("Aliases") or []
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise invalid("Aliases: expected a list of strings")
    return EndpointWish(tuple(aliases), _text(ipam, "IPv4Address"), _text(value, "MacAddress"))


def _container(body: Shape) -> str:
    name = _text(body, "Container")
    if not name:
        raise invalid("Container: name the container")
    return name


def _text(body: Shape, name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(f"{name}: expected a string, not {type(value).__name__}")
    return value


def _object(body: Shape, name: str) -> Shape:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{name}: expected an object, not {type(value).__name__}")
    return value


# filters


def _matches(network: Network, filters: Filters, networks: Networks) -> bool:
    kinds = filters.get("type")
    for kind in kinds:
        if kind not in ("custom", "builtin"):
            raise invalid(f"invalid filter: 'type'='{kind}'")
    dangling = filters.flag("dangling")
    is_custom = network.name not in PREDEFINED
    in_use = not is_custom or bool(networks.endpoints_in(network))
    return (
        (dangling is None or dangling is not in_use)
        and filters.exact("driver", network.driver.value)
        and filters.exact("scope", "local")
        and (not kinds or ("custom" if is_custom else "builtin") in kinds)
        and (not filters.get("id") or any(network.id.startswith(wanted) for wanted in filters.get("id")))
        and filters.labels(network.labels)
        and matches_name(filters.get("name"), network.name)
    )


def _prunable(network: Network, filters: Filters, until: datetime | None, networks: Networks) -> bool:
    unwanted = any(has_label(network.labels, label) for label in filters.get("label!"))
    return (
        network.name not in PREDEFINED
        and not networks.endpoints_in(network)
        and (until is None or datetime.fromisoformat(network.created) < until)
        and filters.labels(network.labels)
        and not unwanted
    )


def _until(wanted: tuple[str, ...], clock: Clock) -> datetime | None:
    """A moment, or a duration before now such as 1h30m."""
    if not wanted:
        return None
    if len(wanted) > 1:
        raise invalid("more than one until filter specified")
    parts = _DURATION.findall(wanted[0])
    if parts and "".join(number + unit for number, unit in parts) == wanted[0]:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        return clock.now() - timedelta(seconds=seconds)
    at = parse_moment(wanted[0], name="until")
    return at.astimezone(UTC) if at else None
