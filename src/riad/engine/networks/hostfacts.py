"""What the host's own network is like, and its settings that containers need. Blocking."""

from __future__ import annotations

import contextlib
from pathlib import Path

from riad.engine.host.netlink import Netlink
from riad.engine.networks.revive import HostRoute
from riad.kernel import logs
from riad.kernel.faults import unsupported

_log = logs.named("engine.networks")

SETTINGS = Path("/proc/sys/net")


def host_routes() -> list[HostRoute]:
    """The host's routes other than default ones, of both families: what subnets must stay clear of.

    A default route may also be two halves of everything, 0.0.0.0/1 and 128.0.0.0/1, as VPN clients write it. Every
    IPv6 link has routes for its own link-local and multicast addresses, which are in nobody's way.
    """
    with Netlink() as host:
        names = {link.index: link.name for link in host.links()}
        routes = [*host.routes(), *(host.routes(6) if has_ipv6() else ())]
    return [
        HostRoute(route.destination, names.get(route.link, ""))
        for route in routes
        if route.destination is not None
        and route.destination.prefixlen > 1
        and not (route.version == 6 and (route.destination.is_link_local or route.destination.is_multicast))
    ]


def uplink_mtu() -> int:
    """The MTU of the host's way out, at most 1500: containers behind a tunnel must not send more than it carries."""
    with Netlink() as host:
        ways_out = {route.link for route in host.routes() if route.destination is None}
        sizes = [link.mtu for link in host.links() if link.index in ways_out]
    return min([1500, *(size for size in sizes if size >= 576)])


def neighbours() -> tuple[str, str, str]:
    """The link of the host's way out, and an address next to the host's there: IPv4 and IPv6; "" where unknown."""
    with Netlink() as host:
        out = next((route.link for route in host.routes() if route.destination is None), 0)
        name = next((link.name for link in host.links() if link.index == out), "")
        found = {4: "", 6: ""}
        for version in (4, 6) if has_ipv6() else (4,):
            for index, address in host.addresses(version):
                if index == out and not address.is_link_local and not found[version]:
                    near = next((each for each in address.network.hosts() if each != address.ip), None)
                    found[version] = str(near or "")
    return name, found[4], found[6]


def has_ipv6() -> bool:
    return (SETTINGS / "ipv6/conf/all").exists()


def enable_forwarding() -> None:
    path = SETTINGS / "ipv4/ip_forward"
    if path.read_text().strip() != "1":
        path.write_text("1")


def enable_forwarding6() -> None:
    """Raises UNSUPPORTED where the kernel has no IPv6.

    A host that forwards stops listening to routers' advertisements (accept_ra 1 means "unless forwarding"), and would
    lose its own way out; 2 keeps it listening.
    """
    if not has_ipv6():
        raise unsupported("this kernel has no IPv6: create the network without --ipv6")
    forwarding = SETTINGS / "ipv6/conf/all/forwarding"
    if forwarding.read_text().strip() == "1":
        return
    for link in (SETTINGS / "ipv6/conf").iterdir():
        if link.name not in ("all", "lo") and _read(link / "accept_ra") == "1":
            put(link / "accept_ra", "2")
    forwarding.write_text("1")
    _log.info("this host forwards IPv6 now", extra=logs.fields(accept_ra="kept, as 2, where it was 1"))


def put(path: Path, value: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        path.write_text(value)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
