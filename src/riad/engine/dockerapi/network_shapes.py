"""Networks as the API shows them, and a container's place in one."""

from __future__ import annotations

from typing import Any

from riad.engine.dockerapi.wire import ZERO_TIME, Shape
from riad.engine.networks.model import Endpoint, EndpointWish, Network, Pool
from riad.engine.networks.networks import Networks
from riad.engine.networks.options import BRIDGE_NAME as NAME
from riad.engine.networks.options import DEFAULT_BRIDGE, HOST_BINDING, ICC, MASQUERADE, MTU


def network_shape(network: Network) -> Shape:
    """A network as lists show it; inspect adds the real containers."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created or ZERO_TIME,
        "Scope": "local",
        "Driver": network.driver.value,
        "EnableIPv4": network.pool is not None,
        "EnableIPv6": network.pool6 is not None,
        "IPAM": {"Driver": "default", "Options": dict(network.ipam_options) or None, "Config": _configs(network)},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.settings is not None,
        "Containers": {},
        "Options": _default_options(network) if network.is_default else dict(network.options),
        "Labels": dict(network.labels),
    }


def _configs(network: Network) -> list[Shape] | None:
    if network.settings is not None:
        return [_asked(pool) for pool in network.settings["pools"]]
    return [_pool_shape(pool) for pool in network.pools] or None


def _pool_shape(pool: Pool) -> Shape:
    shape: Shape = {"Subnet": str(pool.subnet)}
    if pool.range is not None:
        shape["IPRange"] = str(pool.range)
    shape["Gateway"] = str(pool.gateway)
    if pool.reserved:
        shape["AuxiliaryAddresses"] = {name: str(address) for name, address in pool.reserved.items()}
    return shape


def _asked(pool: dict[str, Any]) -> Shape:
    names = {"Subnet": "subnet", "IPRange": "ip_range", "Gateway": "gateway", "AuxiliaryAddresses": "reserved"}
    return {key: pool[name] for key, name in names.items() if pool[name]}


def _default_options(network: Network) -> Shape:
    return {
        DEFAULT_BRIDGE: "true",
        ICC: "true",
        MASQUERADE: "true",
        HOST_BINDING: network.host_binding,
        NAME: network.bridge,
        MTU: str(network.mtu),
    }


def containers_shape(network: Network, networks: Networks) -> Shape:
    return {
        row.container_id: {
            "Name": row.name,
            "EndpointID": endpoint.id,
            "MacAddress": endpoint.mac,
            "IPv4Address": str(network.pool_of(endpoint.address).interface(endpoint.address)),
            "IPv6Address": (
                str(network.pool_of(endpoint.address6).interface(endpoint.address6)) if endpoint.address6 else ""
            ),
        }
        for row, endpoint in networks.endpoints_in(network)
    }


def endpoint_shape(network: Network, endpoint: Endpoint | None, wish: EndpointWish, *, names: list[str]) -> Shape:
    """One entry of a container's NetworkSettings.Networks; without an endpoint the container is not running."""
    return {
        "IPAMConfig": _ipam_config(wish),
        "Links": list(wish.links) or None,
        "Aliases": list(wish.aliases) or None,
        "MacAddress": endpoint.mac if endpoint else wish.mac,
        "DriverOpts": dict(wish.driver_options) or None,
        "NetworkID": network.id,
        "EndpointID": endpoint.id if endpoint else "",
        **_address_shape(network, endpoint),
        "DNSNames": names if network.has_names else None,
    }


def _ipam_config(wish: EndpointWish) -> Shape | None:
    shape = {}
    if wish.ipv4:
        shape["IPv4Address"] = wish.ipv4
    if wish.ipv6:
        shape["IPv6Address"] = wish.ipv6
    return shape or None


def _address_shape(network: Network, endpoint: Endpoint | None) -> Shape:
    shape: Shape = {
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
    }
    if endpoint is None:
        return shape
    pool = network.pool_of(endpoint.address)
    shape |= {"IPAddress": str(endpoint.address), "IPPrefixLen": pool.subnet.prefixlen}
    if network.leads_out and network.has_default_gateway:
        shape["Gateway"] = str(pool.gateway)
    if endpoint.address6 is not None:
        pool6 = network.pool_of(endpoint.address6)
        shape |= {"GlobalIPv6Address": str(endpoint.address6), "GlobalIPv6PrefixLen": pool6.subnet.prefixlen}
        if network.leads_out and network.has_default_gateway:
            shape["IPv6Gateway"] = str(pool6.gateway)
    return shape
