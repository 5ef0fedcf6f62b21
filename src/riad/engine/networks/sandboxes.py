"""What containers have of the networks: a namespace, endpoints, published ports; made, changed and taken back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from ipaddress import IPv4Address

from riad.engine.networks.directory import Directory
from riad.engine.networks.endpoints import free_guest_link, plan_endpoint, port_rules, way_out
from riad.engine.networks.firewall import Firewall
from riad.engine.networks.links import Plug, Wiring
from riad.engine.networks.model import (
    DEFAULT_NETWORK,
    Attachment,
    Driver,
    Endpoint,
    EndpointWish,
    Network,
    Sandbox,
)
from riad.engine.networks.ports import HostPorts
from riad.engine.networks.ruleset import Rule
from riad.engine.networks.store import SandboxRow
from riad.engine.networks.sweeper import Sweeper
from riad.kernel.faults import Fault, Kind, conflict, denied, invalid, not_found

Announce = Callable[[str, Network, str | None], None]
"""Told of each happening (create, destroy, connect, disconnect), its network and the container's id if there is one."""


class Sandboxes:
    """The contract of each verb is told at `Networks`, which hands these out."""

    def __init__(
        self,
        directory: Directory,
        firewall: Firewall,
        wiring: Wiring,
        ports: HostPorts,
        sweeper: Sweeper,
        announce: Announce,
    ) -> None:
        self._directory = directory
        self._firewall = firewall
        self._wiring = wiring
        self._ports = ports
        self._sweeper = sweeper
        self._announce = announce
        self._last_given: dict[str, IPv4Address] = {}

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
            await self._plug(request.container_id)
            await self._firewall.add(self.port_rules(request.container_id))
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
        await self._firewall.remove(self.port_rules(container_id))
        await asyncio.to_thread(self._wiring.drop, container_id)
        self._ports.give_back(self._directory.ports_of(container_id))
        self._directory.delete_sandbox(container_id)
        self._sweeper.later(endpoint.number for endpoint in endpoints)
        if not quietly:
            for endpoint in endpoints:
                self._announce("disconnect", self._network_of(endpoint), container_id)

    async def connect(self, container_id: str, network: Network, wish: EndpointWish) -> Endpoint:
        """Adds a running container to a network; raises DENIED where it is there already."""
        row = self.running(container_id)
        if network.driver is not Driver.BRIDGE or row.on_host:
            name = network.name if network.driver is not Driver.BRIDGE else "host"
            raise denied(f"container cannot be connected to {name} network or from it to another")
        if any(e.network_id == network.id for e in self._directory.endpoints_of(container_id)):
            raise denied(f"endpoint with name {row.name} already exists in network {network.name}")
        before = self.port_rules(container_id)
        endpoint = self._add_endpoint(network, wish, container_id)
        try:
            plug, gateway = self._plug_for(endpoint), self._gateway(container_id)
            await asyncio.to_thread(self._wiring.plug_running, container_id, plug, gateway=gateway)
            await self._repoint(before, self.port_rules(container_id))
        except BaseException:
            self._directory.delete_endpoint(endpoint.id)
            self._sweeper.later([endpoint.number])
            raise
        self._announce("connect", network, container_id)
        return endpoint

    async def disconnect(self, container_id: str, network: Network) -> None:
        """Takes a running container off a network; raises NOT_FOUND where it is not on it."""
        row = self.running(container_id)
        found = [e for e in self._directory.endpoints_of(container_id) if e.network_id == network.id]
        if network.driver is Driver.HOST or row.on_host:
            raise denied("container cannot be disconnected from host network or connected to host network")
        if not found:
            raise not_found(f"container {container_id} is not connected to the network {network.name}")
        before = self.port_rules(container_id)
        self._directory.delete_endpoint(found[0].id)
        gateway = self._gateway(container_id)
        await self._repoint(before, self.port_rules(container_id))
        await asyncio.to_thread(self._wiring.unplug_running, container_id, found[0], gateway=gateway)
        self._announce("disconnect", network, container_id)

    def host_gateway(self, container_id: str) -> str | None:
        """The address under which the container reaches its host: what `host-gateway` stands for."""
        row = self._directory.sandbox(container_id)
        if row is not None and row.on_host:
            return "127.0.0.1"
        gateway = self._gateway(container_id)
        pool = self._directory.network(DEFAULT_NETWORK).pool
        if gateway is not None:
            return str(gateway[1])
        return str(pool.gateway) if pool is not None else None

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
        target = way_out(self.own_networks(container_id))
        return list(port_rules(self._directory.ports_of(container_id), target))

    def _network_of(self, endpoint: Endpoint) -> Network:
        return self._directory.network(endpoint.network_id)

    def _lease(self, request: Attachment) -> None:
        """Writes down everything the container will get, before anything is made."""
        networks = {reference: self._get(reference) for reference in request.networks}
        on_host = any(network.driver is Driver.HOST for network in networks.values())
        if on_host and len(networks) > 1:
            raise invalid("container cannot be connected to host network and to others at once")
        self._directory.add_sandbox(
            SandboxRow(request.container_id, request.name, request.hostname, request.domain, on_host, request.names)
        )
        for reference, wish in request.networks.items():
            if networks[reference].driver is Driver.BRIDGE:
                self._add_endpoint(networks[reference], wish, request.container_id)
        self._publish(request)

    def _publish(self, request: Attachment) -> None:
        target = way_out(self.own_networks(request.container_id))
        if target is None or not request.ports:
            return  # as Docker: nothing to publish on the host's network, on none and on internal ones
        network = self._network_of(target)
        try:
            given = self._ports.take(request.ports, default_host_ip=network.host_binding)
        except Fault as fault:
            endpoint = f"{request.name} ({target.id})"
            raise Fault(
                fault.kind, f"driver failed programming external connectivity on endpoint {endpoint}: {fault.message}"
            ) from None
        try:
            self._directory.add_ports(request.container_id, given)
        except BaseException:
            self._ports.give_back(given)
            raise

    def _add_endpoint(self, network: Network, wish: EndpointWish, container_id: str) -> Endpoint:
        planned = plan_endpoint(
            network,
            wish,
            endpoint_id=secrets.token_hex(32),
            container_id=container_id,
            guest_link=free_guest_link({e.guest_link for e in self._directory.endpoints_of(container_id)}),
            used=self._directory.used_addresses(network.id),
            after=self._last_given.get(network.id),
        )
        if not wish.ipv4:
            self._last_given[network.id] = planned.address
        return self._directory.add_endpoint(planned)

    async def _plug(self, container_id: str) -> None:
        row = self.running(container_id)
        if row.on_host:
            return
        plugs = [self._plug_for(endpoint) for endpoint in self._directory.endpoints_of(container_id)]
        gateway = self._gateway(container_id)
        await asyncio.to_thread(self._wiring.plug, container_id, plugs, gateway=gateway)

    def _plug_for(self, endpoint: Endpoint) -> Plug:
        network = self._network_of(endpoint)
        if network.pool is None:
            raise Fault(Kind.INTERNAL, f"network {network.name} has no addresses")
        return Plug(endpoint, network.pool, network.bridge, network.mtu, isolated=not network.between_containers)

    def _gateway(self, container_id: str) -> tuple[str, IPv4Address] | None:
        out = way_out(self.own_networks(container_id))
        if out is None:
            return None
        pool = self._network_of(out).pool
        return (out.guest_link, pool.gateway) if pool is not None else None

    async def _repoint(self, before: list[Rule], after: list[Rule]) -> None:
        if before != after:
            await self._firewall.remove(before)
            await self._firewall.add(after)

    def _get(self, reference: str) -> Network:
        return self._directory.network(DEFAULT_NETWORK if reference == "default" else reference)
