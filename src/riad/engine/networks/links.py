"""Bridges, parents, links and namespaces as the kernel has them. Blocking; in threads; everything may run twice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from riad.engine.host import netns
from riad.engine.host.netlink import Child, Interface, Link, Netlink, NetlinkError, Veth
from riad.engine.networks import hostfacts
from riad.engine.networks.endpoints import Way, Ways
from riad.engine.networks.hostfacts import put
from riad.engine.networks.model import Driver, Endpoint, Network, Uplink
from riad.engine.networks.options import vlan_of
from riad.kernel import logs
from riad.kernel.faults import Fault, Kind, conflict, invalid, unsupported

_log = logs.named("engine.networks")

_NO_SUCH_LINK, _NO_SUCH_ROUTE, _BUSY, _NOT_SUPPORTED, _INVALID = 19, 3, 16, 95, 22


@dataclass(frozen=True, slots=True)
class Plug:
    """An endpoint and the network it goes into."""

    endpoint: Endpoint
    network: Network


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

    def ensure(self, network: Network) -> None:
        """Makes the network's device where it is missing.

        Raises CONFLICT where another program owns the bridge's name, INVALID for a parent that is not there.
        """
        if network.pool6 is not None:
            hostfacts.enable_forwarding6()
        if network.driver is Driver.BRIDGE:
            self._ensure_bridge(network)
        elif network.uplink is not None:
            self._ensure_parent(network, network.uplink.parent, dead_end=network.uplink.dead_end)
            self._probe(network.driver.value, network.uplink)

    def _ensure_bridge(self, network: Network) -> None:
        wanted = {pool.gateway_interface for pool in network.bridge_pools}
        with Netlink() as host:
            found = host.link(network.bridge)
            if found is not None and not self._is_bridge_of(network, found):
                raise conflict(f"the link {network.bridge} exists and is not ours: choose another bridge name")
            if found is not None and _addresses(host, found) == wanted:
                host.set_up(found.index)
                return
            if found is not None:
                host.delete_link(network.bridge)  # of an earlier life whose state is gone
            index = self._add_bridge(host, network)
            for address in sorted(wanted, key=lambda each: each.version):
                host.add_address(index, address)

    def _ensure_parent(self, network: Network, parent: str, *, dead_end: bool) -> None:
        alias = f"{self._alias} {network.name}"[:255]
        with Netlink() as host:
            found = host.link(parent)
            if found is not None:
                host.set_up(found.index)
                return
            if dead_end:  # a pair whose other end leads nowhere: unlike dummy links every host of containers has those
                host.add_pair(parent, f"dx-{network.id[:12]}", mtu=network.mtu)
                host.set_alias(parent, alias)
                return
            vlan = vlan_of(parent)
            if vlan is None:
                raise invalid(
                    f"invalid subinterface vlan name {parent}, example formatting is eth0.10: this host has no link"
                    f" {parent}"
                )
            below = host.link(vlan[0])
            if below is None:
                raise invalid(f"failed to find master interface {vlan[0]} on the Docker host")
            try:
                host.add_vlan(parent, parent=below.index, number=vlan[1], alias=alias)
            except NetlinkError as error:
                if error.errno in (_NOT_SUPPORTED, _INVALID):
                    raise unsupported(f"{parent}: this kernel has no 802.1q links (modprobe 8021q)") from None
                raise

    def _probe(self, driver: str, uplink: Uplink) -> None:
        """Raises UNSUPPORTED where the kernel has no such links: said now, not when a container starts."""
        name = f"{self._link_prefix}probe"
        handle = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with Netlink() as host:
                parent = host.link(uplink.parent)
                if parent is not None:
                    host.add_child(Child(driver, name, parent.index, handle, uplink.mode, uplink.flag))
                    host.delete_link(name)
        except FileExistsError:
            pass  # of a probe that was killed: swept at the next start
        except NetlinkError as error:
            if error.errno == _NOT_SUPPORTED:
                raise unsupported(f"this kernel has no {driver} links (modprobe {driver})") from None
            _log.info("parent not probed", extra=logs.fields(parent=uplink.parent, reason=str(error)))
        finally:
            os.close(handle)

    def remove(self, network: Network) -> None:
        """Only what is ours: a parent that was there before stays."""
        name = network.bridge or (network.uplink.parent if network.uplink is not None else "")
        with Netlink() as host:
            found = host.link(name) if name else None
            if found is not None and found.alias.startswith(self._alias):
                host.delete_link(name)

    def plug(self, container_id: str, plugs: Iterable[Plug], *, ways: Ways, owner: Path | None = None) -> None:
        """Makes the container's namespace, of the user namespace `owner`, with all its links."""
        path = self.netns(container_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        netns.remove(path)
        with netns.create(path, owner=owner) as inside, Netlink() as host:
            for plug in plugs:
                self._plug_one(host, inside, path, plug)
            for version, way in ((4, ways.ipv4), (6, ways.ipv6)):
                _route(inside, way, version)

    def plug_running(self, container_id: str, plug: Plug, *, ways: Ways) -> None:
        """Adds a link to a running container and moves its default routes to `ways`."""
        path = self.netns(container_id)
        with netns.enter(path) as inside, Netlink() as host:
            self._plug_one(host, inside, path, plug)
            _reroute(inside, ways)

    def unplug_running(self, container_id: str, endpoint: Endpoint, *, ways: Ways) -> None:
        with Netlink() as host:
            host.delete_link(self.host_link(endpoint.number))
        with contextlib.suppress(FileNotFoundError), netns.enter(self.netns(container_id)) as inside:
            inside.delete_link(endpoint.guest_link)
            _reroute(inside, ways)

    def half_plugged(self, endpoints: Iterable[Endpoint]) -> list[Endpoint]:
        """Those, of networks with bridges, whose pair is missing or has no address in its container's namespace."""
        with Netlink() as host:
            return [endpoint for endpoint in endpoints if not self._is_plugged(host, endpoint)]

    def _is_plugged(self, host: Netlink, endpoint: Endpoint) -> bool:
        if host.link(self.host_link(endpoint.number)) is None:
            return False
        with contextlib.suppress(FileNotFoundError), netns.enter(self.netns(endpoint.container_id)) as inside:
            link = inside.link(endpoint.guest_link)
            return link is not None and bool(_addresses(inside, link))
        return False

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
            strange = [
                link.name for link in host.links() if self.owns(link.name, link.alias) and link.name not in wanted
            ]
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

    def owns(self, name: str, alias: str) -> bool:
        """Whether a link of the host with this name and alias is this engine's."""
        return name.startswith(self._link_prefix) or alias.startswith(self._alias)

    def _add_bridge(self, host: Netlink, network: Network) -> int:
        if network.pool is None:
            raise Fault(Kind.INTERNAL, f"network {network.name} has no addresses")
        index = host.add_bridge(
            network.bridge, mac=_mac_of(network), mtu=network.mtu, alias=f"{self._alias} {network.name}"[:255]
        )
        here = hostfacts.SETTINGS / "ipv6/conf" / network.bridge
        put(here / "disable_ipv6", "0" if network.pool6 is not None else "1")
        for name in ("accept_ra", "autoconf"):  # containers must not tell the host where its routers are
            put(here / name, "0")
        # Published ports answer on the host's loopback; the ruleset keeps containers out of it.
        put(hostfacts.SETTINGS / "ipv4/conf" / network.bridge / "route_localnet", "1")
        return index

    def _plug_one(self, host: Netlink, inside: Netlink, path: Path, plug: Plug) -> None:
        endpoint, network = plug.endpoint, plug.network
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if network.driver is Driver.BRIDGE:
                self._add_pair(host, handle, plug)
            else:
                _add_child(host, handle, plug)
        finally:
            os.close(handle)
        link = inside.link(endpoint.guest_link)
        if link is None:
            raise Fault(Kind.INTERNAL, f"the link {endpoint.guest_link} did not arrive in its namespace")
        settings = _link_settings(endpoint)
        if settings:
            netns.inside(path, lambda: _apply(settings))
        for address in endpoint.addresses:
            inside.add_address(link.index, network.pool_of(address).interface(address))
        inside.set_up(link.index)

    def _add_pair(self, host: Netlink, namespace: int, plug: Plug) -> None:
        bridge = host.link(plug.network.bridge)
        if bridge is None:
            raise Fault(
                Kind.INTERNAL, f"the bridge {plug.network.bridge} is gone: restart the engine to have it made again"
            )
        host.add_veth(
            Veth(
                name=self.host_link(plug.endpoint.number),
                master=bridge.index,
                peer=plug.endpoint.guest_link,
                peer_mac=plug.endpoint.mac,
                peer_namespace=namespace,
                mtu=plug.network.mtu,
                isolated=not plug.network.between_containers,
            )
        )


def _add_child(host: Netlink, namespace: int, plug: Plug) -> None:
    uplink, driver = plug.network.uplink, plug.network.driver.value
    parent = host.link(uplink.parent) if uplink is not None else None
    if uplink is None or parent is None:
        name = uplink.parent if uplink is not None else "?"
        raise Fault(Kind.INTERNAL, f"the parent {name} of network {plug.network.name} is gone")
    child = Child(
        kind=driver,
        name=plug.endpoint.guest_link,
        parent=parent.index,
        namespace=namespace,
        mode=uplink.mode,
        flag=uplink.flag,
        mac=plug.endpoint.mac,
        mtu=min(plug.network.mtu, parent.mtu),
    )
    try:
        host.add_child(child)
    except NetlinkError as error:
        if error.errno == _NOT_SUPPORTED:
            raise unsupported(f"this kernel has no {driver} links (modprobe {driver})") from None
        if error.errno in (_BUSY, _INVALID):
            raise Fault(
                Kind.INTERNAL,
                f"failed to create the {driver} port: {os.strerror(error.errno)}: {uplink.parent} is the parent of"
                f" links of another kind or mode (macvlan, ipvlan and bridges do not share one)",
            ) from None
        raise


def _link_settings(endpoint: Endpoint) -> Mapping[Path, str]:
    """Kernel settings of a link inside its namespace, before it is up."""
    found: dict[Path, str] = {}
    if endpoint.address6 is not None:
        here = hostfacts.SETTINGS / "ipv6/conf" / endpoint.guest_link
        found |= {here / "disable_ipv6": "0", here / "accept_ra": "0"}
    for name, value in endpoint.sysctls.items():
        key = name.replace(".", "/").replace("IFNAME", endpoint.guest_link)
        found[hostfacts.SETTINGS / key.removeprefix("net/")] = value
    return found


def _apply(settings: Mapping[Path, str]) -> None:
    for path, value in settings.items():
        try:
            path.write_text(value)
        except OSError as error:
            name = str(path.relative_to("/proc/sys")).replace("/", ".")
            raise invalid(f"kernel setting {name}={value}: {error.strerror}") from None


def _mac_of(network: Network) -> str:
    return f"02:42:{network.id[:2]}:{network.id[2:4]}:{network.id[4:6]}:{network.id[6:8]}"


def _addresses(host: Netlink, link: Link) -> set[Interface]:
    known = [*host.addresses(), *(host.addresses(6) if hostfacts.has_ipv6() else ())]
    return {address for index, address in known if index == link.index and not address.is_link_local}


def _route(inside: Netlink, way: Way | None, version: int) -> None:
    link = inside.link(way.link) if way is not None else None
    if way is not None and link is not None:
        inside.add_default_route(way.gateway, link.index, version=version)


def _reroute(inside: Netlink, ways: Ways) -> None:
    for version, way in ((4, ways.ipv4), (6, ways.ipv6)):
        if version == 6 and not hostfacts.has_ipv6():
            continue
        for route in inside.routes(version):
            if route.destination is None:
                try:
                    inside.delete_default_route(route.gateway, route.link, version=version)
                except NetlinkError as error:
                    if error.errno not in (_NO_SUCH_LINK, _NO_SUCH_ROUTE):
                        raise
        _route(inside, way, version)
