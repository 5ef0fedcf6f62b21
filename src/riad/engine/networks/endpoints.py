"""Decisions about a container's endpoints, pure: address, MAC, link name, the way out, the rules that publish."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address

from riad.engine.networks import addresses
from riad.engine.networks.model import Endpoint, EndpointWish, Network, PublishedPort, mac_address
from riad.engine.networks.ports import EVERY_ADDRESS
from riad.engine.networks.ruleset import PortRule
from riad.kernel.faults import Fault, Kind, invalid


def plan_endpoint(
    network: Network,
    wish: EndpointWish,
    *,
    endpoint_id: str,
    container_id: str,
    guest_link: str,
    used: Collection[IPv4Address],
    after: IPv4Address | None,
) -> Endpoint:
    """Raises INVALID, DENIED or EXHAUSTED with Docker's sentences. The number is the store's to give."""
    check_wish(network, wish)
    if network.pool is None:
        raise Fault(Kind.INTERNAL, f"network {network.name} has no addresses to give")
    if wish.ipv4:
        address: IPv4Address | None = addresses.fixed_address(network.pool, wish.ipv4, used)
    else:
        address = addresses.free_address(network.pool, used, after=after)
    if address is None:
        raise Fault(
            Kind.EXHAUSTED,
            f"no available IPv4 addresses on this network's address pools: {network.name} ({network.id})",
        )
    return Endpoint(
        id=endpoint_id,
        number=0,
        network_id=network.id,
        container_id=container_id,
        address=address,
        mac=mac_address(wish.mac) if wish.mac else addresses.mac_for(address),
        guest_link=guest_link,
        aliases=wish.aliases,
    )


def check_wish(network: Network, wish: EndpointWish) -> None:
    """Whether `network` can grant `wish` at all; raises INVALID. Also meant for create, long before the start."""
    if wish.mac:
        mac_address(wish.mac)
    if network.has_names:
        if wish.ipv4 and network.pool is not None:
            if not network.pool.by_user:
                raise invalid(
                    f"invalid config for network {network.name}: invalid endpoint settings:\nuser specified IP address"
                    " is supported only when connecting to networks with user configured subnets"
                )
            addresses.fixed_address(network.pool, wish.ipv4, ())
        return
    if wish.ipv4:
        raise invalid(
            f"invalid config for network {network.name}: invalid endpoint settings:\n"
            "user specified IP address is supported on user defined networks only"
        )
    if wish.aliases:
        raise invalid(
            f"invalid config for network {network.name}: invalid endpoint settings:\n"
            "network-scoped aliases are only supported for user-defined networks"
        )


def free_guest_link(taken: Collection[str]) -> str:
    """eth0, eth1, … as Docker names them."""
    number = 0
    while f"eth{number}" in taken:
        number += 1
    return f"eth{number}"


def way_out(endpoints: Iterable[tuple[Network, Endpoint]]) -> Endpoint | None:
    """The endpoint that default route and published ports use: of the networks that lead out, the first by name."""
    leading = [(network.name, endpoint) for network, endpoint in endpoints if not network.internal]
    return min(leading, key=lambda pair: pair[0])[1] if leading else None


def port_rules(ports: Sequence[PublishedPort], target: Endpoint | None) -> list[PortRule]:
    if target is None:
        return []
    return [
        PortRule(
            proto=port.proto,
            host_ip=None if port.host_ip == EVERY_ADDRESS else IPv4Address(port.host_ip),
            host_port=port.host_port,
            address=target.address,
            port=port.container_port,
        )
        for port in ports
    ]
