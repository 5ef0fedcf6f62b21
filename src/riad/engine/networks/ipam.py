"""Which subnets a new network gets: what was asked for is checked, what was not is chosen. Pure.

Findings are gathered, and worded as Docker words them: clients and their tests compare.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from riad.engine.networks import addresses
from riad.engine.networks.addresses import Source
from riad.engine.networks.model import Pool, Subnet
from riad.kernel.faults import denied, invalid


@dataclass(frozen=True, slots=True)
class PoolWish:
    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    reserved: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pools:
    """What a network has: one subnet of each family, and more of them where the driver takes more."""

    ipv4: Pool
    ipv6: Pool | None
    more: tuple[Pool, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """`own`: subnets of this engine's networks. `routes`: those of the host, empty where they do not matter."""

    own: Collection[Subnet]
    routes: Collection[Subnet]
    sources: Collection[Source] = addresses.DEFAULT_SOURCES


def plan_pools(wishes: Iterable[PoolWish], taken: Taken, *, ipv6: bool) -> Pools:
    """IPv6 subnets are passed over where `ipv6` is off, as Docker does.

    Raises INVALID for what makes no sense, DENIED for what is another's, EXHAUSTED.
    """
    given = [wish for wish in wishes if wish != PoolWish()]
    check(given, ipv6=ipv6)
    wanted = [wish for wish in given if ipv6 or ip_network(wish.subnet).version == 4]
    pools = [_pool(wish, taken) for wish in wanted]
    for number, pool in enumerate(pools):
        if any(pool.subnet.overlaps(other.subnet) for other in pools[:number]):
            raise denied("Pool overlaps with other one on this address space")
    four = [pool for pool in pools if pool.version == 4] or [_chosen(taken, 4)]
    six = ([pool for pool in pools if pool.version == 6] or [_chosen(taken, 6)]) if ipv6 else []
    return Pools(four[0], six[0] if six else None, (*four[1:], *six[1:]))


def check(wishes: Iterable[PoolWish], *, ipv6: bool) -> None:
    """Raises INVALID with everything that is wrong with them."""
    findings = [finding for wish in wishes for finding in _findings(wish, ipv6=ipv6)]
    if findings:
        raise invalid("invalid network config:\n" + "\n".join(findings))


def _findings(wish: PoolWish, *, ipv6: bool) -> list[str]:
    try:
        if "/" not in wish.subnet:
            raise ValueError
        subnet = ip_network(wish.subnet, strict=False)
    except ValueError:
        return [f"invalid subnet {wish.subnet}: invalid CIDR block notation"]
    if subnet.version == 6 and not ipv6:
        return []
    found = [] if _is_exact(wish.subnet) else [f"invalid subnet {wish.subnet}: it should be {subnet}"]
    if subnet.prefixlen > subnet.max_prefixlen - 2:
        found.append(f"invalid subnet {subnet}: no room for a gateway and a container")
    found += _range_findings(wish.ip_range, subnet)
    found += _address_findings(f"gateway {wish.gateway}", wish.gateway, subnet)
    for name, text in wish.reserved.items():
        found += _address_findings(f"auxiliary address {name}", text, subnet)
    return found


def _range_findings(text: str, subnet: Subnet) -> list[str]:
    if not text:
        return []
    try:
        if "/" not in text:
            raise ValueError
        narrowed = ip_network(text, strict=False)
    except ValueError:
        return [f"invalid ip-range {text}: invalid CIDR block notation"]
    if narrowed.version != subnet.version:
        return [f"invalid ip-range {text}: parent subnet is an IPv{subnet.version} block"]
    found = []
    if narrowed.prefixlen < subnet.prefixlen:
        found.append(f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}")
    if not _is_exact(text):
        found.append(f"invalid ip-range {text}: it should be {narrowed}")
    if not narrowed.overlaps(subnet):
        found.append(f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range")
    return found


def _address_findings(what: str, text: str, subnet: Subnet) -> list[str]:
    if not text:
        return []
    try:
        address = ip_address(text)
    except ValueError:
        return [f"invalid {what}: invalid address"]
    if address.version != subnet.version:
        return [f"invalid {what}: parent subnet is an IPv{subnet.version} block"]
    return [] if address in subnet else [f"invalid {what}: parent subnet {subnet} doesn't contain this address"]


def _is_exact(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _pool(wish: PoolWish, taken: Taken) -> Pool:
    subnet = ip_network(wish.subnet)
    if any(subnet.overlaps(own) for own in taken.own):
        raise denied("Pool overlaps with other one on this address space")
    # A wider route (a VPN's 10.0.0.0/8) may be cut into on purpose; one inside would take packets away from the bridge.
    for route in taken.routes:
        if addresses.within(route, subnet):
            raise denied(f"Pool overlaps with other one on this address space: the host has a route to {route}")
    return addresses.pool_for(subnet, gateway=wish.gateway, ip_range=wish.ip_range, reserved=dict(wish.reserved))


def _chosen(taken: Taken, version: int) -> Pool:
    subnet = addresses.free_subnet([*taken.own, *taken.routes], sources=taken.sources, version=version)
    return addresses.pool_for(subnet, by_user=False)


def chosen_ipv4(taken: Taken) -> Pool:
    """A free one for a network that asks for nothing in particular; raises EXHAUSTED."""
    return _chosen(taken, 4)


def chosen_ipv6(taken: Taken) -> Pool:
    return _chosen(taken, 6)
