"""What containers have of the networks: a namespace, endpoints, published ports; made, changed and taken back."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from riad.engine.networks import published
from riad.engine.networks.directory import Directory
from riad.engine.networks.dns.service import NameService
from riad.engine.networks.endpoints import check_wish, free_guest_link, plan_endpoint, port_rules, way_out, ways_out
from riad.engine.networks.gate import Gate
from riad.engine.networks.links import Plug, Wiring
from riad.engine.networks.model import (
    DEFAULT_NETWORK,
    Address,
    Attachment,
    Driver,
    Endpoint,
    EndpointWish,
    GatewayMode,
    Network,
    PortBinding,
    PublishedPort,
    Sandbox,
)
from riad.engine.networks.ports import HostPorts
from riad.engine.networks.reach import Answer, PortReach, Reach, Surroundings, reach
from riad.engine.networks.relay import Relays, Target
from riad.engine.networks.ruleset import OpenRule, PortRule, Rule
from riad.engine.networks.store import SandboxRow
from riad.engine.networks.sweeper import Sweeper
from riad.kernel.faults import Fault, conflict, denied, invalid, not_found

Announce = Callable[[str, Network, str | None], None]
"""Told of each happening (create, destroy, connect, disconnect), its network and the container's id if there is one."""


class Sandboxes:
    """The contract of each verb is told at `Networks`, which hands these out."""

    def __init__(
        self,
        directory: Directory,
        gate: Gate,
        wiring: Wiring,
        ports: HostPorts,
        names: NameService,
        sweeper: Sweeper,
        announce: Announce,
    ) -> None:
        self._directory = directory
        self._gate = gate
        self._wiring = wiring
        self._ports = ports
        self._names = names
        self._sweeper = sweeper
        self._relays = Relays()
        self._announce = announce
        self._last_given: dict[str, Address] = {}

    def inspect(self, container_id: str) -> Sandbox | None:
        """What a prepared container has; None where it has no network now."""
        row = self._directory.sandbox(container_id)
        if row is None:
            return None
        endpoints = {self._network_of(e).name: e for e in self._directory.endpoints_of(container_id)}
        netns = None if row.on_host else self._wiring.netns(container_id)
        return Sandbox(container_id, netns, endpoints, self._directory.ports_of(container_id))

    async def prepare(self, request: Attachment) -> Sandbox:
        """Makes everything `request` asks for; what an earlier life of the container left is released first."""
        if self._directory.sandbox(request.container_id) is not None:
            await self.release(request.container_id)
        try:
            self._lease(request)
            await self._plug(request.container_id, request.owner)
            await self._gate.change((), self.port_rules(request.container_id))
            await self._serve(request.container_id)
        except BaseException:
            await self.release(request.container_id, quietly=True)
            raise
        sandbox = self.inspect(request.container_id)
        if sandbox is None:
            raise conflict(f"container {request.container_id[:12]} was released while it was prepared")
        for endpoint in sandbox.endpoints.values():
            self._announce("connect", self._network_of(endpoint), request.container_id)
        return sandbox

    async def release(self, container_id: str, *, quietly: bool = False) -> None:
        """Takes back everything of a container that has ended. Unknown containers and repetition are no errors."""
        if self._directory.sandbox(container_id) is None:
            return
        endpoints = self._directory.endpoints_of(container_id)
        await self._names.stop_inside(container_id)
        await self._relays.follow(container_id, {})
        await self._gate.change(self.port_rules(container_id), ())
        await asyncio.to_thread(self._wiring.drop, container_id)
        self._ports.give_back(self._directory.ports_of(container_id))
        self._directory.delete_sandbox(container_id)
        self._sweeper.later(endpoint.number for endpoint in endpoints)
        if not quietly:
            self._say_disconnected(endpoints)

    def announce_release(self, container_id: str) -> None:
        """Tells what a quiet `release` that follows at once will do."""
        self._say_disconnected(self._directory.endpoints_of(container_id))

    def _say_disconnected(self, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            self._announce("disconnect", self._network_of(endpoint), endpoint.container_id)

    async def connect(self, container_id: str, network: Network, wish: EndpointWish) -> Endpoint:
        """Adds a running container to a network; raises DENIED where it is there already."""
        row = self.running(container_id)
        if not network.driver.gives_links or row.on_host:
            name = network.name if not network.driver.gives_links else "host"
            raise denied(f"container cannot be connected to {name} network or from it to another")
        if any(e.network_id == network.id for e in self._directory.endpoints_of(container_id)):
            raise denied(f"endpoint with name {row.name} already exists in network {network.name}")
        before, given = self.port_rules(container_id), self._directory.ports_of(container_id)
        endpoint = self._add_endpoint(network, wish, container_id)
        try:
            self._publish(container_id)
            ways = ways_out(self.own_networks(container_id))
            await asyncio.to_thread(self._wiring.plug_running, container_id, Plug(endpoint, network), ways=ways)
            await self._gate.change(before, self.port_rules(container_id))
            await self._serve(container_id)
        except BaseException:
            self._unpublish(container_id, set(self._directory.ports_of(container_id)) - set(given))
            self._directory.delete_endpoint(endpoint.id)
            self._sweeper.later([endpoint.number])
            raise
        self._announce("connect", network, container_id)
        return endpoint

    async def republish(self, container_id: str, wanted: tuple[PortBinding, ...]) -> tuple[PublishedPort, ...]:
        """Publishes exactly `wanted` while the container runs; connections through ports that stay go on."""
        row = self.running(container_id)
        before, given = self.port_rules(container_id), self._directory.ports_of(container_id)
        surplus = published.compare(wanted, given).surplus
        self._unpublish(container_id, surplus)
        self._directory.want_ports(container_id, wanted)
        try:
            self._publish(container_id)
            await self._gate.change(before, self.port_rules(container_id))
            await self._serve(container_id)
        except BaseException:
            self._unpublish(container_id, set(self._directory.ports_of(container_id)) - set(given))
            self._directory.want_ports(container_id, row.wanted)
            for port in surplus:
                self._ports.take_again(port)
            self._directory.add_ports(container_id, surplus)
            raise
        return self._directory.ports_of(container_id)

    async def disconnect(self, container_id: str, network: Network) -> None:
        """Takes a running container off a network; raises NOT_FOUND where it is not on it."""
        row = self.running(container_id)
        found = [e for e in self._directory.endpoints_of(container_id) if e.network_id == network.id]
        if network.driver is Driver.HOST or row.on_host:
            raise denied("container cannot be disconnected from host network or connected to host network")
        if not found:
            raise not_found(f"container {container_id} is not connected to network {network.name}")
        before = self.port_rules(container_id)
        self._directory.delete_endpoint(found[0].id)
        ways = ways_out(self.own_networks(container_id))
        await self._gate.change(before, self.port_rules(container_id))
        await asyncio.to_thread(self._wiring.unplug_running, container_id, found[0], ways=ways)
        await self._serve(container_id)
        self._announce("disconnect", network, container_id)

    async def close(self) -> None:
        await self._relays.close()

    def host_gateway(self, container_id: str) -> str | None:
        """The address under which the container reaches its host: what `host-gateway` stands for."""
        row = self._directory.sandbox(container_id)
        if row is not None and row.on_host:
            return "127.0.0.1"
        own = [pair for pair in self.own_networks(container_id) if pair[0].answers_at_gateway]
        out = way_out(own)
        pool = out[0].pool if out is not None else self._directory.network(DEFAULT_NETWORK).pool
        return str(pool.gateway) if pool is not None else None

    async def serve_again(self) -> None:
        """After a restart of the engine."""
        for row in self._directory.sandboxes():
            if not row.on_host:
                await self._serve(row.container_id)

    def own_networks(self, container_id: str) -> list[tuple[Network, Endpoint]]:
        """Its networks with its endpoints, first attached first."""
        return [(self._network_of(e), e) for e in self._directory.endpoints_of(container_id)]

    def running(self, container_id: str) -> SandboxRow:
        """Raises CONFLICT where the container has no network now."""
        row = self._directory.sandbox(container_id)
        if row is None:
            raise conflict(f"container {container_id[:12]} has no network now: it is not running")
        return row

    def port_rules(self, container_id: str) -> list[Rule]:
        """The rules that its published ports need at present."""
        return port_rules(self._directory.ports_of(container_id), self.own_networks(container_id))

    def reach(self, row: SandboxRow, around: Surroundings) -> list[PortReach]:
        """Who can reach each of its published ports."""
        own, found = self.own_networks(row.container_id), []
        for port in self._directory.ports_of(row.container_id):
            out = way_out(own, version=6 if ":" in port.host_ip else 4)
            rules = port_rules([port], own)
            answer = Answer(Reach.NOBODY, because="its container is on no network that leads there")
            if rules and out is not None and isinstance(rules[0], PortRule | OpenRule):
                answer = reach(rules[0], out[0].bridge, around)
            found.append(PortReach(row.container_id, row.name, port, answer))
        return found

    def _network_of(self, endpoint: Endpoint) -> Network:
        return self._directory.network(endpoint.network_id)

    def _lease(self, request: Attachment) -> None:
        """Writes down everything the container will get, before anything is made."""
        networks = {reference: self._get(reference) for reference in request.networks}
        on_host = any(network.driver is Driver.HOST for network in networks.values())
        if on_host and len(networks) > 1:
            raise invalid("container cannot be connected to host network and to others at once")
        self._directory.add_sandbox(
            SandboxRow(
                container_id=request.container_id,
                name=request.name,
                hostname=request.hostname,
                domain=request.domain,
                on_host=on_host,
                names=request.names,
                wanted=request.ports,
            )
        )
        for reference, wish in request.networks.items():
            check_wish(networks[reference], wish)
            if networks[reference].driver.gives_links:
                self._add_endpoint(networks[reference], wish, request.container_id)
        self._publish(request.container_id)

    def _publish(self, container_id: str) -> None:
        """Takes what is wanted and not yet given; as Docker nothing on the host's network, none and internal ones."""
        row, own = self.running(container_id), self.own_networks(container_id)
        out = way_out(own)
        if out is None or out[0].driver is not Driver.BRIDGE or not row.wanted:
            return
        network, target = out
        has_ipv6 = way_out(own, version=6) is not None
        published.check_families(row.wanted, has_ipv6=has_ipv6)
        wishes, opened = [], []
        for wish in published.compare(row.wanted, self._directory.ports_of(container_id)).missing:
            where = published.places(wish, default=network.host_binding, has_ipv6=has_ipv6)
            routed = [each for each in where if _mode(network, each) is GatewayMode.ROUTED]
            opened += [PublishedPort(wish.container_port, wish.proto, each, 0) for each in routed]
            if on_host := [each for each in where if each not in routed]:
                wishes.append((wish, on_host))
        try:
            given = self._ports.take(wishes)
        except Fault as fault:
            endpoint = f"{row.name} ({target.id})"
            raise Fault(
                fault.kind, f"driver failed programming external connectivity on endpoint {endpoint}: {fault.message}"
            ) from None
        try:
            self._directory.add_ports(container_id, [*given, *opened])
        except BaseException:
            self._ports.give_back(given)
            raise

    def _unpublish(self, container_id: str, ports: Iterable[PublishedPort]) -> None:
        gone = tuple(ports)
        self._ports.give_back(gone)
        self._directory.remove_ports(container_id, gone)

    async def _serve(self, container_id: str) -> None:
        """What this process itself does for a container: names where no gateway answers, connections to ::1."""
        row = self._directory.sandbox(container_id)
        if row is not None and not row.on_host:
            own = self.own_networks(container_id)
            await self._names.serve_inside(row, own, self._wiring.netns(container_id))
            await self._relays.follow(container_id, self._relayed(container_id))

    def _relayed(self, container_id: str) -> dict[PublishedPort, tuple[Target, socket.socket]]:
        out = way_out(self.own_networks(container_id), version=6)
        found = {}
        for port in self._directory.ports_of(container_id):
            held = self._ports.socket_of(port) if port.host_ip in ("::", "::1") and port.proto == "tcp" else None
            if held is not None and out is not None and out[1].address6 is not None:
                found[port] = Target(out[1].address6, port.container_port), held
        return found

    def _add_endpoint(self, network: Network, wish: EndpointWish, container_id: str) -> Endpoint:
        planned = plan_endpoint(
            network,
            wish,
            endpoint_id=secrets.token_hex(32),
            container_id=container_id,
            guest_link=free_guest_link(
                {e.guest_link for e in self._directory.endpoints_of(container_id)}, network.link_prefix
            ),
            used=self._directory.used_addresses(network.id),
            after=self._last_given.get(network.id),
        )
        if not wish.ipv4:
            self._last_given[network.id] = planned.address
        return self._directory.add_endpoint(planned)

    async def _plug(self, container_id: str, owner: Path | None) -> None:
        row = self.running(container_id)
        if row.on_host:
            return
        own = self.own_networks(container_id)
        plugs = [Plug(endpoint, network) for network, endpoint in own]
        await asyncio.to_thread(self._wiring.plug, container_id, plugs, ways=ways_out(own), owner=owner)

    def _get(self, reference: str) -> Network:
        return self._directory.network(DEFAULT_NETWORK if reference == "default" else reference)


def _mode(network: Network, host_ip: str) -> GatewayMode:
    return network.mode6 if ":" in host_ip else network.mode
