"""Bridges, pairs and namespaces as the kernel has them. Blocking; called in threads; everything may run twice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from riad.engine.host import netns
from riad.engine.host.netlink import Link, Netlink, NetlinkError, Veth
from riad.engine.networks.model import Endpoint, Network, Pool
from riad.engine.networks.revive import HostRoute
from riad.kernel.faults import Fault, Kind, conflict

_NO_SUCH_LINK, _NO_SUCH_ROUTE = 19, 3


@dataclass(frozen=True, slots=True)
class Plug:
    """An endpoint, the bridge it goes into, and what the kernel needs to know besides."""

    endpoint: Endpoint
    pool: Pool
    bridge: str
    mtu: int
    isolated: bool


@dataclass(frozen=True, slots=True)
class Wiring:
    """The kernel side of one engine's networks. `instance` (6 or more hexadecimal digits) marks what is its own."""

    instance: str
    folder: Path

    def netns(self, container_id: str) -> Path:
        return self.folder / container_id

    def host_link(self, number: int) -> str:
        return f"{self._link_prefix}{number:x}"

    @property
    def _link_prefix(self) -> str:
        return f"rv{self.instance[:6]}"

    @property
    def _alias(self) -> str:
        return f"riad {self.instance}"

    def ensure_bridge(self, network: Network) -> None:
        """Makes the device where it is missing. Raises CONFLICT where another program owns the name."""
        if network.pool is None:
            return
        with Netlink() as host:
            found = host.link(network.bridge)
            if found is not None and not self._is_bridge_of(network, found):
                raise conflict(f"the link {network.bridge} exists and is not ours: choose another bridge name")
            if found is not None and _addresses(host, found) == [network.pool.gateway_interface]:
                host.set_up(found.index)
                return
            if found is not None:
                host.delete_link(network.bridge)  # of an earlier life whose state is gone
            index = self._add_bridge(host, network)
            host.add_address(index, network.pool.gateway_interface)

    def remove_bridge(self, name: str) -> None:
        with Netlink() as host:
            found = host.link(name)
            if found is not None and found.alias.startswith(self._alias):
                host.delete_link(name)

    def plug(self, container_id: str, plugs: Iterable[Plug], *, gateway: tuple[str, IPv4Address] | None) -> None:
        """Makes the container's namespace with all its links; `gateway`: link and address of the default route."""
        path = self.netns(container_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        netns.remove(path)
        with netns.create(path) as inside, Netlink() as host:
            for plug in plugs:
                self._plug_one(host, inside, path, plug)
            if gateway is not None:
                _route(inside, gateway)

    def plug_running(self, container_id: str, plug: Plug, *, gateway: tuple[str, IPv4Address] | None) -> None:
        """Adds a link to a running container and moves its default route to `gateway`."""
        path = self.netns(container_id)
        with netns.enter(path) as inside, Netlink() as host:
            self._plug_one(host, inside, path, plug)
            _reroute(inside, gateway)

    def unplug_running(self, container_id: str, endpoint: Endpoint, *, gateway: tuple[str, IPv4Address] | None) -> None:
        with Netlink() as host:
            host.delete_link(self.host_link(endpoint.number))
        with contextlib.suppress(FileNotFoundError), netns.enter(self.netns(container_id)) as inside:
            _reroute(inside, gateway)

    def drop(self, container_id: str) -> None:
        """The namespace goes with its last process, and its links with it: the kernel does that on its own time."""
        netns.remove(self.netns(container_id))

    def sweep_links(self, numbers: Iterable[int]) -> None:
        """Deletes host ends that are still there, such as where a stray process keeps the namespace alive."""
        with Netlink() as host:
            for number in numbers:
                host.delete_link(self.host_link(number))

    def sweep(self, *, endpoints: Collection[int], containers: Collection[str], bridges: Collection[str]) -> list[str]:
        """Removes everything of this engine that is none of the given; returns what was removed."""
        wanted = {self.host_link(number) for number in endpoints} | set(bridges)
        with Netlink() as host:
            strange = [link.name for link in host.links() if self._is_ours(link) and link.name not in wanted]
            removed = [name for name in strange if host.delete_link(name)]
        files = {self.netns(container).name for container in containers}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.name not in files:
                netns.remove(path)
                removed.append(path.name)
        return removed

    def _is_bridge_of(self, network: Network, link: Link) -> bool:
        """The kernel takes no alias with a new link: an engine killed in between leaves one without."""
        generated = network.is_default or network.bridge == f"br-{network.id[:12]}"
        return link.alias.startswith(self._alias) or (generated and not link.alias)

    def _is_ours(self, link: Link) -> bool:
        return link.name.startswith(self._link_prefix) or link.alias.startswith(self._alias)

    def _add_bridge(self, host: Netlink, network: Network) -> int:
        if network.pool is None:
            raise Fault(Kind.INTERNAL, f"network {network.name} has no addresses")
        mac = f"02:42:{network.id[:2]}:{network.id[2:4]}:{network.id[4:6]}:{network.id[6:8]}"
        index = host.add_bridge(network.bridge, mac=mac, mtu=network.mtu, alias=f"{self._alias} {network.name}"[:255])
        settings = Path("/proc/sys/net")
        _set(settings / "ipv6/conf" / network.bridge / "disable_ipv6", "1")
        # Published ports answer on the host's loopback; the ruleset keeps containers out of it.
        _set(settings / "ipv4/conf" / network.bridge / "route_localnet", "1")
        return index

    def _plug_one(self, host: Netlink, inside: Netlink, path: Path, plug: Plug) -> None:
        bridge = host.link(plug.bridge)
        if bridge is None:
            raise Fault(Kind.INTERNAL, f"the bridge {plug.bridge} is gone: restart the engine to have it made again")
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            host.add_veth(
                Veth(
                    name=self.host_link(plug.endpoint.number),
                    master=bridge.index,
                    peer=plug.endpoint.guest_link,
                    peer_mac=plug.endpoint.mac,
                    peer_namespace=handle,
                    mtu=plug.mtu,
                    isolated=plug.isolated,
                )
            )
        finally:
            os.close(handle)
        link = inside.link(plug.endpoint.guest_link)
        if link is None:
            raise Fault(Kind.INTERNAL, f"the link {plug.endpoint.guest_link} did not arrive in its namespace")
        inside.add_address(link.index, IPv4Interface((plug.endpoint.address, plug.pool.subnet.prefixlen)))
        inside.set_up(link.index)


def host_routes() -> list[HostRoute]:
    """The host's routes other than default ones: what subnets must stay clear of.

    A default route may also be two halves of everything, 0.0.0.0/1 and 128.0.0.0/1, as VPN clients write it.
    """
    with Netlink() as host:
        names = {link.index: link.name for link in host.links()}
        return [
            HostRoute(route.destination, names.get(route.link, ""))
            for route in host.routes()
            if route.destination is not None and route.destination.prefixlen > 1
        ]


def uplink_mtu() -> int:
    """The MTU of the host's way out, at most 1500: containers behind a tunnel must not send more than it carries."""
    with Netlink() as host:
        ways_out = {route.link for route in host.routes() if route.destination is None}
        sizes = [link.mtu for link in host.links() if link.index in ways_out]
    return min([1500, *(size for size in sizes if size >= 576)])


def enable_forwarding() -> None:
    path = Path("/proc/sys/net/ipv4/ip_forward")
    if path.read_text().strip() != "1":
        path.write_text("1")


def _addresses(host: Netlink, link: Link) -> list[IPv4Interface]:
    return [address for index, address in host.addresses() if index == link.index]


def _route(inside: Netlink, gateway: tuple[str, IPv4Address]) -> None:
    link = inside.link(gateway[0])
    if link is not None:
        inside.add_default_route(gateway[1], link.index)


def _reroute(inside: Netlink, gateway: tuple[str, IPv4Address] | None) -> None:
    for route in inside.routes():
        if route.destination is None and route.gateway is not None:
            try:
                inside.delete_default_route(route.gateway, route.link)
            except NetlinkError as error:
                if error.errno not in (_NO_SUCH_LINK, _NO_SUCH_ROUTE):
                    raise
    if gateway is not None:
        _route(inside, gateway)


def _set(path: Path, value: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        path.write_text(value)
