"""Decisions about a container's endpoints, pure: addresses, MAC, link name, the ways out, the rules that publish."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from riad.engine.networks import addresses
from riad.engine.networks.model import (
    Address,
    Driver,
    Endpoint,
    EndpointWish,
    GatewayMode,
    Network,
    Pool,
    PublishedPort,
    mac_address,
)
from riad.engine.networks.published import EVERY_ADDRESS, EVERY_ADDRESS6
from riad.engine.networks.ruleset import OpenRule, PortRule, Rule
from riad.kernel.faults import Fault, Kind, denied, invalid

_BAD_SETTINGS = "invalid config for network {name}: invalid endpoint settings:\n{finding}"


@dataclass(frozen=True, slots=True)
class Way:
    """A default route: by which link of the container, to whom; None: everything is reached by the link itself."""

    link: str
    gateway: Address | None


@dataclass(frozen=True, slots=True)
class Ways:
    """A container's default routes, one per family at most."""

    ipv4: Way | None = None
    ipv6: Way | None = None


Own = Sequence[tuple[Network, Endpoint]]
"""A container's networks with its endpoints."""


def plan_endpoint(
    network: Network,
    wish: EndpointWish,
    *,
    endpoint_id: str,
    container_id: str,
    guest_link: str,
    used: Collection[Address],
    after: Address | None,
) -> Endpoint:
    """Raises INVALID, DENIED or EXHAUSTED with Docker's sentences. The number is the store's to give."""
    check_wish(network, wish)
    address = _address(network, wish.ipv4, used, after, version=4)
    if not isinstance(address, IPv4Address):
        raise Fault(Kind.INTERNAL, f"network {network.name} has no addresses to give")
    address6 = _address(network, wish.ipv6, used, None, version=6) if network.pool6 is not None else None
    return Endpoint(
        id=endpoint_id,
        number=0,
        network_id=network.id,
        container_id=container_id,
        address=address,
        address6=address6 if isinstance(address6, IPv6Address) else None,
        mac=_mac(network, wish, address),
        guest_link=guest_link,
        aliases=wish.aliases,
        sysctls=wish.sysctls,
    )


def _mac(network: Network, wish: EndpointWish, address: Address) -> str:
    if network.driver is Driver.IPVLAN:
        return ""  # its links have their parent's
    return mac_address(wish.mac) if wish.mac else addresses.mac_for(address)


def _address(
    network: Network, wanted: str, used: Collection[Address], after: Address | None, *, version: int
) -> Address:
    pools = _pools(network, version)
    if wanted:
        return addresses.fixed_address(pools, wanted, used)
    for pool in pools:
        found = addresses.free_address(pool, used, after=after)
        if found is not None:
            return found
    raise Fault(
        Kind.EXHAUSTED,
        f"no available IPv{version} addresses on this network's address pools: {network.name} ({network.id})",
    )


def _pools(network: Network, version: int) -> list[Pool]:
    return [pool for pool in network.pools if pool.version == version]


def check_wish(network: Network, wish: EndpointWish) -> None:
    """Whether `network` can grant `wish` at all; raises INVALID or DENIED. Also meant for create, before the start."""
    if network.settings is not None:
        raise denied("cannot create endpoint on configuration-only network")
    if wish.mac:
        mac_address(wish.mac)
    for text, version in ((wish.ipv4, 4), (wish.ipv6, 6)):
        if text:
            _check_text(network, text, version)
    if network.has_names:
        for text, version in ((wish.ipv4, 4), (wish.ipv6, 6)):
            if text:
                _check_fixed(network, text, version)
        return
    if wish.ipv4 or wish.ipv6:
        raise _bad(network, "user specified IP address is supported on user defined networks only")
    if wish.aliases:
        raise _bad(network, "network-scoped aliases are only supported for user-defined networks")


def _check_text(network: Network, text: str, version: int) -> None:
    try:
        fits = ip_address(text).version == version
    except ValueError:
        fits = False
    if not fits:
        raise _bad(network, f"invalid IPv{version} address: {text}")


def _check_fixed(network: Network, text: str, version: int) -> None:
    pools = _pools(network, version)
    if not any(pool.by_user for pool in pools):
        raise _bad(
            network,
            "user specified IP address is supported only when connecting to networks with user configured subnets",
        )
    if not any(ip_address(text) in pool.subnet for pool in pools):
        raise _bad(network, f"no configured subnet contains IP address {text}")


def _bad(network: Network, finding: str) -> Fault:
    return invalid(_BAD_SETTINGS.format(name=network.name, finding=finding))


def free_guest_link(taken: Collection[str], prefix: str = "eth") -> str:
    """eth0, eth1, … as Docker names them."""
    number = 0
    while f"{prefix}{number}" in taken:
        number += 1
    return f"{prefix}{number}"


def way_out(own: Own, *, version: int = 4) -> tuple[Network, Endpoint] | None:
    """What default route and published ports use: of the networks of this family that lead out, the first by name."""
    leading = [
        (network, endpoint)
        for network, endpoint in own
        if network.leads_out and (version == 4 or endpoint.address6 is not None)
    ]
    return min(leading, key=lambda pair: pair[0].name) if leading else None


def ways_out(own: Own) -> Ways:
    return Ways(_way(own, 4), _way(own, 6))


def _way(own: Own, version: int) -> Way | None:
    found = way_out(own, version=version)
    if found is None:
        return None
    network, endpoint = found
    if not network.has_default_gateway:
        return Way(endpoint.guest_link, None)
    address = endpoint.address if version == 4 else endpoint.address6
    if address is None:
        return None
    return Way(endpoint.guest_link, network.pool_of(address).gateway)


def port_rules(ports: Iterable[PublishedPort], own: Own) -> list[Rule]:
    """The rules that publish: into a network with NAT a port of the host leads, in a routed one a port is open."""
    outs = {4: way_out(own), 6: way_out(own, version=6)}
    found: list[Rule] = []
    for port in ports:
        version = 6 if ":" in port.host_ip else 4
        out = outs[version]
        if out is None or out[0].driver is not Driver.BRIDGE:
            continue
        network, endpoint = out
        address = endpoint.address if version == 4 else endpoint.address6
        mode = network.mode if version == 4 else network.mode6
        if address is None or mode is GatewayMode.ISOLATED:
            continue
        if mode is GatewayMode.ROUTED:
            found.append(OpenRule(port.proto, address, port.container_port))
        elif port.host_port:
            anywhere = port.host_ip in (EVERY_ADDRESS, EVERY_ADDRESS6)
            host_ip = None if anywhere else ip_address(port.host_ip)
            found.append(PortRule(port.proto, host_ip, port.host_port, address, port.container_port))
    return found
