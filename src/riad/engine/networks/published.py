"""Publishing, the decisions: what a wish says, on which addresses of the host it is granted, and what changes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from riad.engine.networks.model import PortBinding, PublishedPort
from riad.kernel.faults import invalid

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 -- compared with, and what users ask for
EVERY_ADDRESS6 = "::"
PROTOCOLS = ("tcp", "udp", "sctp")

_HOST_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def binding(container_port: int, proto: str, *, host_ip: str = "", host_port: str = "") -> PortBinding:
    """Reads Docker's HostIp and HostPort ("", "8080" or "8000-8010"); raises INVALID."""
    if proto.lower() not in PROTOCOLS:
        raise invalid(f"invalid port specification: {container_port}/{proto}: invalid proto: {proto}")
    if not 0 < container_port < 65536:
        raise invalid(f"invalid port specification: {container_port}/{proto}: ports are 1 to 65535")
    numbers = _HOST_PORTS.fullmatch(host_port or "0")
    if numbers is None:
        raise invalid(f"invalid port specification: {host_port!r}: expected a number or FIRST-LAST")
    start, end = int(numbers[1]), int(numbers[2] or numbers[1])
    if not 0 <= start <= end < 65536:
        raise invalid(f"invalid port specification: {host_port!r}: ports are 1 to 65535, the smaller first")
    return PortBinding(container_port, proto.lower(), _host_ip(host_ip), start, end if end > start else 0)


def places(wish: PortBinding, *, default: str, has_ipv6: bool) -> tuple[str, ...]:
    """The addresses of the host to publish on; none where the container lacks the family that was asked for.

    A wish without address means every address of every family that the container has. `default` is the network's
    own idea of "every address" (`host_binding_ipv4`); one that is narrower leaves IPv6 out.
    """
    if wish.host_ip:
        return (wish.host_ip,) if has_ipv6 or ":" not in wish.host_ip else ()
    if default == EVERY_ADDRESS and has_ipv6:
        return EVERY_ADDRESS, EVERY_ADDRESS6
    return (default,)


def check_families(wishes: Sequence[PortBinding], *, has_ipv6: bool) -> None:
    """Raises INVALID for a port asked for on IPv6 alone where the container has no IPv6 address.

    Clients that name both 0.0.0.0 and :: for one port get the first alone, without complaint.
    """
    if has_ipv6:
        return
    on_ipv4 = {(wish.container_port, wish.proto) for wish in wishes if ":" not in wish.host_ip}
    for wish in wishes:
        if ":" in wish.host_ip and (wish.container_port, wish.proto) not in on_ipv4:
            raise invalid(
                f"cannot publish {wish.container_port}/{wish.proto} on [{wish.host_ip}]: the container has no IPv6"
                " address; create its network with --ipv6, or publish on an IPv4 address"
            )


@dataclass(frozen=True, slots=True)
class Changes:
    """What is between the ports that are published and those that are wanted."""

    missing: tuple[PortBinding, ...]
    surplus: tuple[PublishedPort, ...]


def compare(wanted: Iterable[PortBinding], given: Iterable[PublishedPort]) -> Changes:
    """A wish may be granted on several addresses, but with one number of the host."""
    left = list(given)
    missing = []
    for wish in wanted:
        granted = [port for port in left if grants(port, wish)]
        if not granted:
            missing.append(wish)
        for port in granted:
            if port.host_port == granted[0].host_port:
                left.remove(port)
    return Changes(tuple(missing), tuple(left))


def grants(port: PublishedPort, wish: PortBinding) -> bool:
    """Whether `port` is what `wish` asks for."""
    if (port.container_port, port.proto) != (wish.container_port, wish.proto):
        return False
    if wish.host_ip and port.host_ip and wish.host_ip != port.host_ip:
        return False
    first, last = wish.host_port, wish.host_port_end or wish.host_port
    return not first or not port.host_port or first <= port.host_port <= last


def _host_ip(text: str) -> str:
    if not text:
        return ""
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise invalid(f"invalid host IP address {text!r}: expected an address such as 127.0.0.1 or ::1") from None
    if not isinstance(address, IPv4Address) and address.scope_id:
        raise invalid(f"invalid host IP address {text!r}: leave the zone (%{address.scope_id}) out")
    return str(address)
