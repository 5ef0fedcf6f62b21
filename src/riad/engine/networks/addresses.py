"""Address decisions, pure: which subnet a network gets and which address an endpoint gets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import chain

from riad.engine.networks.model import Pool
from riad.kernel.faults import denied, exhausted, invalid

DEFAULT_POOLS = (IPv4Network("172.20.0.0/14"), IPv4Network("10.210.0.0/16"), IPv4Network("192.168.128.0/17"))
"""Where subnets of networks that name none come from: first free /24, clear of the host's routes."""


def free_subnet(taken: Collection[IPv4Network], *, pools: Iterable[IPv4Network] = DEFAULT_POOLS) -> IPv4Network:
    """The first /24 of `pools` that overlaps nothing in `taken`; raises EXHAUSTED."""
    for pool in pools:
        for subnet in pool.subnets(new_prefix=max(24, pool.prefixlen)):
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
    raise exhausted(
        "all predefined address pools have been fully subnetted: remove unused networks (docker network prune)"
        " or name a --subnet"
    )


def free_address(pool: Pool, used: Collection[IPv4Address], *, after: IPv4Address | None = None) -> IPv4Address | None:
    """The next free address past `after`, from the start again at the end of the range; None where all are used.

    Going round instead of taking the lowest keeps a fresh container from inheriting the connections and caches that
    others still hold for one that has just gone.
    """
    forbidden = {pool.gateway, pool.subnet.network_address, pool.subnet.broadcast_address, *pool.reserved.values()}
    if pool.subnet.prefixlen >= 31:
        forbidden = {pool.gateway, *pool.reserved.values()}
    taken = set(used)
    for candidate in _round(pool.range or pool.subnet, after):
        if candidate not in forbidden and candidate not in taken:
            return candidate
    return None


def fixed_address(pool: Pool, text: str, used: Collection[IPv4Address]) -> IPv4Address:
    """The address a user asked for; raises INVALID where it is none of the subnet's, DENIED where it is taken."""
    try:
        address = IPv4Address(text)
    except ValueError:
        raise invalid(f"invalid IPv4 address: {text}") from None
    if address not in pool.subnet:
        raise invalid(f"no configured subnet or ip-range contain the IP address {address}")
    if address in (pool.gateway, pool.subnet.network_address, pool.subnet.broadcast_address) or address in used:
        raise denied("Address already in use")
    return address


def mac_for(address: IPv4Address) -> str:
    """Derived from the address: a neighbour that still caches the address then caches the right MAC, too."""
    return f"02:42:{address.packed.hex(':')}"


def pool_for(
    subnet: IPv4Network,
    *,
    gateway: str = "",
    ip_range: str = "",
    reserved: dict[str, str] | None = None,
    by_user: bool = True,
) -> Pool:
    """Checks what a user says about a subnet; raises INVALID with Docker's sentences."""
    if subnet.prefixlen > 30:
        raise invalid(f"invalid subnet {subnet}: no room for a gateway and a container, use /30 or larger")
    narrowed = _range(subnet, ip_range) if ip_range else None
    at = _inside(subnet, gateway, what="gateway") if gateway else next((narrowed or subnet).hosts())
    kept = {name: _inside(subnet, text, what=f"auxiliary address {name}") for name, text in (reserved or {}).items()}
    return Pool(subnet=subnet, gateway=at, range=narrowed, reserved=kept, by_user=by_user)


def network_of(text: str) -> IPv4Network:
    """A subnet as users write it; raises INVALID with Docker's sentences."""
    try:
        return IPv4Network(text)
    except ValueError:
        pass
    try:
        meant = IPv4Network(text, strict=False)
    except ValueError:
        raise invalid(f"invalid subnet {text}: invalid CIDR address: {text}") from None
    raise invalid(f"invalid subnet {text}: it should be {meant}")


def _range(subnet: IPv4Network, text: str) -> IPv4Network:
    try:
        narrowed = IPv4Network(text, strict=False)
    except ValueError:
        raise invalid(f"invalid ip-range {text}: invalid CIDR address: {text}") from None
    if not narrowed.subnet_of(subnet):
        raise invalid(f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range")
    return narrowed


def _inside(subnet: IPv4Network, text: str, *, what: str) -> IPv4Address:
    try:
        address = IPv4Address(text)
    except ValueError:
        raise invalid(f"invalid {what} {text}: invalid address") from None
    if address not in subnet:
        raise invalid(f"invalid {what} {text}: parent subnet {subnet} doesn't contain this address")
    return address


def _round(where: IPv4Network, after: IPv4Address | None) -> Iterator[IPv4Address]:
    first, last = int(where.network_address), int(where.broadcast_address)
    start = int(after) + 1 if after is not None and after in where else first
    return map(IPv4Address, chain(range(start, last + 1), range(first, start)))
