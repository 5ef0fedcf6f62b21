"""Reading what clients ask of networks: the body of /networks/create, and of connecting a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riad.engine.dockerapi.volumes import texts
from riad.engine.dockerapi.wire import Shape
from riad.engine.networks.create import NetworkWish
from riad.engine.networks.ipam import PoolWish
from riad.engine.networks.model import EndpointWish
from riad.kernel.faults import denied, invalid, unsupported

_SYSCTLS = "com.docker.network.endpoint.sysctls"
_PASSED_OVER = frozenset({"com.docker.network.portmap", "com.docker.network.endpoint.exposedports"})
"""Set by older clients for the driver's own use; what they say is in the container's own settings, too."""


def read_network(body: Shape) -> NetworkWish:
    """The body of /networks/create. Raises INVALID, DENIED or UNSUPPORTED with Docker's sentences where it has any."""
    if body.get("Ingress"):
        raise denied(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to'
            " swarm and try again."
        )
    if body.get("Scope") not in (None, "", "local"):
        raise denied(
            f"This node is not a swarm manager: a network of scope {body['Scope']!r} cannot be made here, only local"
        )
    if body.get("EnableIPv4") is False:
        raise unsupported("EnableIPv4=false is not supported: networks have IPv4, and IPv6 if asked")
    ipam = _object(body, "IPAM")
    configs = ipam.get("Config") or []
    if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
        raise invalid("IPAM.Config: expected a list of objects")
    return NetworkWish(
        name=_text(body, "Name"),
        driver=_text(body, "Driver"),
        internal=bool(body.get("Internal")),
        attachable=bool(body.get("Attachable")),
        ipv6=None if body.get("EnableIPv6") is None else bool(body["EnableIPv6"]),
        pools=tuple(_read_pool(config) for config in configs),
        ipam_driver=_text(ipam, "Driver"),
        ipam_options=texts(ipam, "Options"),
        labels=texts(body, "Labels"),
        options=texts(body, "Options"),
        config_only=bool(body.get("ConfigOnly")),
        config_from=_text(_object(body, "ConfigFrom"), "Network"),
    )


def _read_pool(config: Mapping[str, Any]) -> PoolWish:
    shape = dict(config)
    return PoolWish(
        subnet=_text(shape, "Subnet"),
        ip_range=_text(shape, "IPRange"),
        gateway=_text(shape, "Gateway"),
        reserved=texts(shape, "AuxiliaryAddresses") or texts(shape, "AuxAddress"),
    )


def read_endpoint(value: object, at: str = "EndpointConfig/") -> EndpointWish:
    """An EndpointSettings object of connect or of a container's NetworkingConfig; raises naming the field.

    What the engine itself fills in (ids, addresses given) is passed over: clients send back what inspect said.
    """
    if value is None:
        return EndpointWish()
    if not isinstance(value, dict):
        raise invalid(f"{at.removesuffix('/')}: expected an object")
    ipam = _object(value, "IPAMConfig")
    if ipam.get("LinkLocalIPs"):
        raise unsupported(f"{at}IPAMConfig/LinkLocalIPs is not supported by this engine")
    if value.get("GwPriority"):
        raise unsupported(f"{at}GwPriority: specify a gateway priority needs API 1.48, this engine speaks 1.47")
    options = texts(value, "DriverOpts")
    return EndpointWish(
        aliases=_list(value, "Aliases", at),
        ipv4=_text(ipam, "IPv4Address"),
        mac=_text(value, "MacAddress"),
        links=_list(value, "Links", at),
        ipv6=_text(ipam, "IPv6Address"),
        driver_options=options,
        sysctls=_sysctls(options, at),
    )


def _sysctls(options: Mapping[str, str], at: str) -> Mapping[str, str]:
    """`com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,…`; raises for every other option."""
    for name in options:
        if name != _SYSCTLS and name not in _PASSED_OVER:
            raise unsupported(f"{at}DriverOpts: endpoint option {name!r} is not supported by this engine")
    found = {}
    for entry in filter(None, options.get(_SYSCTLS, "").split(",")):
        name, separator, value = entry.partition("=")
        name = name.replace(".ifname.", ".IFNAME.")  # the docker command lowers what follows driver-opt=
        parts = name.split(".")
        if not separator or len(parts) != 5 or parts[0] != "net" or parts[3] != "IFNAME":
            raise invalid(f"{at}DriverOpts: invalid sysctl {entry!r}: expected net.X.Y.IFNAME.Z=VALUE")
        if any(not part or "/" in part for part in parts):
            raise invalid(f"{at}DriverOpts: invalid sysctl {entry!r}")
        found[name] = value
    return found


def container_of(body: Shape) -> str:
    name = _text(body, "Container")
    if not name:
        raise invalid("Container: name the container")
    return name


def _list(body: Mapping[str, Any], name: str, at: str) -> tuple[str, ...]:
    items = body.get(name) or []
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise invalid(f"{at}{name}: expected a list of strings")
    return tuple(items)


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
