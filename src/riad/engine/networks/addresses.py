"""Address decisions, pure: which subnet a network gets and which address an endpoint gets. Both families alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import chain

from riad.engine.networks.model import Address, Pool, Subnet
from riad.kernel.faults import denied, exhausted, invalid


@dataclass(frozen=True, slots=True)
class Source:
    """Where subnets of networks that name none come from: pieces with `prefix` bits, cut from `base`."""

    base: Subnet
    prefix: int


DEFAULT_SOURCES = tuple(
    Source(IPv4Network(text), 24) for text in ("172.20.0.0/14", "10.210.0.0/16", "192.168.128.0/17")
)
"""First free /24, clear of the host's routes."""


def ula_source(global_id: bytes) -> Source:
    """The engine's own /48 of IPv6 (RFC 4193) from 5 random bytes; a network gets a /64 of it."""
    return Source(IPv6Network((b"\xfd" + global_id[:5] + bytes(10), 48)), 64)


def source_of(text: str) -> Source:
    """Reads `--default-address-pool base=172.30.0.0/16,size=24`; raises INVALID."""
    asked = dict(part.partition("=")[::2] for part in text.split(","))
    unknown = set(asked) - {"base", "size"}
    if unknown or "base" not in asked or "size" not in asked:
        raise invalid(f"--default-address-pool {text}: expected base=SUBNET,size=BITS")
    base = network_of(asked["base"])
    size = int(asked["size"]) if asked["size"].isdecimal() else -1
    if not base.prefixlen <= size <= base.max_prefixlen - 2:
        raise invalid(
            f"--default-address-pool {text}: size is a prefix length from {base.prefixlen} to {base.max_prefixlen - 2}"
        )
    return Source(base, size)


def free_subnet(taken: Collection[Subnet], *, sources: Iterable[Source] = DEFAULT_SOURCES, version: int = 4) -> Subnet:
    """The first piece of `sources` that overlaps nothing in `taken`; raises EXHAUSTED."""
    for source in sources:
        if source.base.version == version:
            for subnet in source.base.subnets(new_prefix=source.prefix):
                if not any(subnet.overlaps(other) for other in taken):
                    return subnet
    raise exhausted(
        "all predefined address pools have been fully subnetted: remove unused networks (docker network prune)"
        " or name a --subnet"
    )


def free_address(pool: Pool, used: Collection[Address], *, after: Address | None = None) -> Address | None:
    """The next free address past `after`, from the start again at the end of the range; None where all are used.

    Going round instead of taking the lowest keeps a fresh container from inheriting the connections and caches that
    others still hold for one that has just gone.
    """
    forbidden = {pool.gateway, *_unusable(pool.subnet), *pool.reserved.values()}
    taken = set(used)
    for candidate in _round(pool.range or pool.subnet, after):
        if candidate not in forbidden and candidate not in taken:
            return candidate
    return None


def fixed_address(pools: Iterable[Pool], text: str, used: Collection[Address]) -> Address:
    """The address a user asked for; raises INVALID where it is none of the subnets', DENIED where it is taken."""
    try:
        address = ip_address(text)
    except ValueError:
        raise invalid(f"invalid IP address: {text}") from None
    for pool in pools:
        if address in pool.subnet:
            if address in (pool.gateway, *_unusable(pool.subnet)) or address in used:
                raise denied("Address already in use")
            return address
    raise invalid(f"no configured subnet or ip-range contain the IP address {address}")


def mac_for(address: Address) -> str:
    """Derived from the address: a neighbour that still caches the address then caches the right MAC, too."""
    return f"02:42:{address.packed[-4:].hex(':')}"


def pool_for(
    subnet: Subnet,
    *,
    gateway: str = "",
    ip_range: str = "",
    reserved: dict[str, str] | None = None,
    by_user: bool = True,
) -> Pool:
    """Checks what a user says about a subnet; raises INVALID with Docker's sentences."""
    if subnet.prefixlen > subnet.max_prefixlen - 2:
        raise invalid(
            f"invalid subnet {subnet}: no room for a gateway and a container, use /{subnet.max_prefixlen - 2} or larger"
        )
    narrowed = _range(subnet, ip_range) if ip_range else None
    kept = {name: _inside(subnet, text, what=f"auxiliary address {name}") for name, text in (reserved or {}).items()}
    at = _inside(subnet, gateway, what="gateway") if gateway else _first(subnet, narrowed, kept.values())
    return Pool(subnet=subnet, gateway=at, range=narrowed, reserved=kept, by_user=by_user)


def network_of(text: str) -> Subnet:
    """A subnet as users write it; raises INVALID with Docker's sentences."""
    try:
        if "/" in text:
            return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise invalid(f"invalid subnet {text}: invalid CIDR address: {text}") from None
    if "/" not in text:
        raise invalid(f"invalid subnet {text}: invalid CIDR address: {text}")
    raise invalid(f"invalid subnet {text}: it should be {meant}")


def within(inner: Subnet, outer: Subnet) -> bool:
    """Whether `inner` lies in `outer`; False for different families."""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _unusable(subnet: Subnet) -> tuple[Address, ...]:
    if subnet.prefixlen >= subnet.max_prefixlen - 1:
        return ()
    return subnet.network_address, subnet.broadcast_address


def _first(subnet: Subnet, narrowed: Subnet | None, kept: Collection[Address]) -> Address:
    for candidate in (narrowed or subnet).hosts():
        if candidate not in kept:
            return candidate
    raise invalid(f"invalid subnet {subnet}: every address of it is reserved")


def _range(subnet: Subnet, text: str) -> Subnet:
    try:
        narrowed = ip_network(text, strict=False)
    except ValueError:
        raise invalid(f"invalid ip-range {text}: invalid CIDR address: {text}") from None
    if not within(narrowed, subnet):
        raise invalid(f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range")
    return narrowed


def _inside(subnet: Subnet, text: str, *, what: str) -> Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise invalid(f"invalid {what} {text}: invalid address") from None
    if address not in subnet:
        raise invalid(f"invalid {what} {text}: parent subnet {subnet} doesn't contain this address")
    return address


def _round(where: Subnet, after: Address | None) -> Iterator[Address]:
    first, last = int(where.network_address), int(where.broadcast_address)
    start = int(after) + 1 if after is not None and after in where else first
    kind = IPv4Address if where.version == 4 else IPv6Address
    return map(kind, chain(range(start, last + 1), range(first, start)))
