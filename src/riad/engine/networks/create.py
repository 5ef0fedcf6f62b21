"""What a new network is to be: checks a wish and decides name, subnet and device. Pure; host facts are arguments."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from riad.engine.networks import addresses
from riad.engine.networks.model import PREDEFINED, Driver, Network, Pool
from riad.kernel.faults import denied, invalid, not_found, unsupported

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LINK_NAME = re.compile(r"[^\s/:]{1,15}")
_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")

_BRIDGE_NAME = "com.docker.network.bridge.name"
_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
_ICC = "com.docker.network.bridge.enable_icc"
_HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
_MTU = "com.docker.network.driver.mtu"
_KNOWN_OPTIONS = frozenset((_BRIDGE_NAME, _MASQUERADE, _ICC, _HOST_BINDING, _MTU))


@dataclass(frozen=True, slots=True)
class PoolWish:
    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    reserved: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkWish:
    name: str
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ipv6: bool = False
    pools: tuple[PoolWish, ...] = ()
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is taken on this host, and how large packets may be."""

    own_subnets: Collection[IPv4Network]
    routes: Collection[IPv4Network]
    mtu: int


def plan_network(wish: NetworkWish, facts: HostFacts, *, network_id: str, created: str) -> Network:
    """Raises INVALID, DENIED or UNSUPPORTED with Docker's sentences where it has them."""
    _check_name(wish.name)
    _check_driver(wish)
    options = _options(wish.options)
    bridge = options.get(_BRIDGE_NAME) or f"br-{network_id[:12]}"
    if not _LINK_NAME.fullmatch(bridge) or bridge in (".", ".."):
        raise invalid(f"invalid bridge name {bridge!r}: at most 15 characters without blanks, '/' and ':'")
    return Network(
        id=network_id,
        name=wish.name,
        driver=Driver.BRIDGE,
        created=created,
        pool=_pool(wish.pools, facts),
        bridge=bridge,
        mtu=_mtu(options.get(_MTU), facts.mtu),
        internal=wish.internal,
        attachable=wish.attachable,
        masquerade=_flag(_MASQUERADE, options.get(_MASQUERADE), default=True),
        between_containers=_flag(_ICC, options.get(_ICC), default=True),
        host_binding=_host_binding(options.get(_HOST_BINDING)),
        labels=dict(wish.labels),
        options=dict(wish.options),
        ipam_options=dict(wish.ipam_options),
    )


def _check_name(name: str) -> None:
    if name in (*PREDEFINED, "default"):
        raise denied(f"operation is not permitted on predefined {name} network ")
    if not name.strip():
        raise invalid("network name cannot be empty")
    if not _NAME.fullmatch(name):
        raise invalid(f"invalid network name {name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed")


def _check_driver(wish: NetworkWish) -> None:
    if wish.driver in ("host", "null", "none"):
        raise denied(f"only one instance of {wish.driver!r} network is allowed")
    if wish.driver in ("overlay", "macvlan", "ipvlan"):
        raise unsupported(f"network driver {wish.driver} is not supported; use bridge")
    if wish.driver not in ("bridge", "default", ""):
        raise not_found(f'plugin "{wish.driver}" not found')
    if wish.ipv6:
        raise unsupported("EnableIPv6 is not supported yet: create the network without --ipv6")
    if wish.ipam_driver not in ("default", ""):
        raise unsupported(f"IPAM driver {wish.ipam_driver!r} is not supported: use the default one")
    if wish.ipam_options:
        raise unsupported(f"IPAM option {next(iter(wish.ipam_options))!r} is not supported")


def _options(options: Mapping[str, str]) -> Mapping[str, str]:
    for name in options:
        if name not in _KNOWN_OPTIONS:
            raise unsupported(f"network option {name!r} is not supported; known: {', '.join(sorted(_KNOWN_OPTIONS))}")
    return options


def _pool(wishes: tuple[PoolWish, ...], facts: HostFacts) -> Pool:
    for wish in wishes:
        for text in (wish.subnet, wish.gateway):
            if ":" in text:
                raise unsupported(f"{text}: IPv6 is not supported yet: name an IPv4 subnet")
    if len(wishes) > 1:
        raise unsupported("a bridge network with several subnets is not supported: name one --subnet")
    if not wishes or not wishes[0].subnet:
        return _chosen_pool(wishes[0] if wishes else PoolWish(), facts)
    wish = wishes[0]
    subnet = addresses.network_of(wish.subnet)
    if any(subnet.overlaps(own) for own in facts.own_subnets):
        raise denied("Pool overlaps with other one on this address space")
    # A wider route (a VPN's 10.0.0.0/8) may be cut into on purpose; one inside would take packets away from the bridge.
    for route in facts.routes:
        if route.subnet_of(subnet):
            raise denied(f"Pool overlaps with other one on this address space: the host has a route to {route}")
    return addresses.pool_for(subnet, gateway=wish.gateway, ip_range=wish.ip_range, reserved=dict(wish.reserved))


def _chosen_pool(wish: PoolWish, facts: HostFacts) -> Pool:
    if wish.gateway or wish.ip_range or wish.reserved:
        raise invalid("every ip-range or gateway must have a corresponding subnet: name a --subnet")
    subnet = addresses.free_subnet([*facts.own_subnets, *facts.routes])
    return addresses.pool_for(subnet, by_user=False)


def _flag(name: str, text: str | None, *, default: bool) -> bool:
    if text is None or text == "":
        return default
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise invalid(f"network option {name}: {text!r} is neither true nor false")


def _mtu(text: str | None, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal() or not 68 <= int(text) <= 65535:
        raise invalid(f"network option {_MTU}: {text!r} is not a size from 68 to 65535")
    return int(text)


def _host_binding(text: str | None) -> str:
    if not text:
        return "0.0.0.0"  # noqa: S104 -- Docker's default
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise invalid(f"network option {_HOST_BINDING}: {text!r} is not an IPv4 address") from None
