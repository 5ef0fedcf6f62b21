"""The networks of one engine: what containers and the API ask for.

Order of calls for a container: `prepare` before its runtime starts (the runtime enters the namespace that it made),
`connect` and `disconnect` while it runs, `release` when it has ended; `release` and a failed `prepare` leave nothing
behind and may run twice. `recover` comes before all of them, once, with the containers that live.
Called from the event loop; the kernel is asked in threads. Different containers may be prepared at the same time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from pathlib import Path

from riad.engine.host.nftables import Nftables
from riad.engine.networks import addresses, files, links
from riad.engine.networks.create import HostFacts, NetworkWish, plan_network
from riad.engine.networks.directory import Directory
from riad.engine.networks.dns.service import NameService
from riad.engine.networks.endpoints import check_wish
from riad.engine.networks.firewall import Firewall, forward_policy_drops
from riad.engine.networks.links import Wiring
from riad.engine.networks.model import (
    DEFAULT_NETWORK,
    PREDEFINED,
    Attachment,
    Driver,
    Endpoint,
    EndpointWish,
    Network,
    Sandbox,
)
from riad.engine.networks.ports import HostPorts
from riad.engine.networks.ruleset import BridgeRules, Rule
from riad.engine.networks.sandboxes import Announce, Sandboxes
from riad.engine.networks.store import NetworkStore, SandboxRow
from riad.engine.networks.sweeper import Sweeper
from riad.engine.state import State
from riad.kernel import logs
from riad.kernel.clock import Clock
from riad.kernel.faults import conflict, denied

_log = logs.named("engine.networks")


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`instance`: hexadecimal digits, 8 or more, that are this engine's alone (they name its table, bridge, links)."""

    instance: str
    exec_root: Path
    bip: IPv4Interface | None = None

    @property
    def table(self) -> str:
        return f"riad_{self.instance[:8]}"

    @property
    def default_bridge(self) -> str:
        return f"riad-{self.instance[:8]}"


class Networks:
    def __init__(
        self, state: State, settings: NetworkSettings, *, clock: Clock, announce: Announce = lambda *_: None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._announce = announce
        self._nft = Nftables()
        self._firewall = Firewall(settings.table, self._nft.run)
        self._wiring = Wiring(settings.instance, settings.exec_root / "netns")
        self._directory = Directory(NetworkStore(state))
        self._ports = HostPorts()
        self._names = NameService(self._directory)
        self._sweeper = Sweeper(self._wiring)
        self._sandboxes = Sandboxes(self._directory, self._firewall, self._wiring, self._ports, self._sweeper, announce)
        self._subnets = asyncio.Lock()
        self._warnings: tuple[str, ...] = ()

    # life of the engine

    async def recover(self, live: Collection[str]) -> None:
        """Makes host and store agree again: everything of containers not in `live` goes, theirs stays as it is."""
        await asyncio.to_thread(links.enable_forwarding)
        await self._ensure_predefined()
        for network in self._bridges():
            await asyncio.to_thread(self._wiring.ensure_bridge, network)
        for row in self._directory.sandboxes():
            if row.container_id not in live:
                await self.release(row.container_id)
        self._retake_ports()
        await self._firewall.replace(self._all_rules())
        await self._sweep_strangers()
        for network in self._bridges():
            await self._serve_names(network)
        if await asyncio.to_thread(forward_policy_drops, self._nft.run):
            self._warnings = (
                "the host's iptables FORWARD policy is DROP (dockerd or a firewall set it): containers reach nothing"
                f" outside until it lets {self._settings.default_bridge} and br-* pass, for instance by"
                " iptables -I DOCKER-USER -i riad-+ -j ACCEPT and -o riad-+ -j ACCEPT",
            )
            _log.warning("forward policy drops", extra=logs.fields(warning=self._warnings[0]))

    async def close(self) -> None:
        """Stops what runs in this process. Live containers keep their network; without any, nothing of ours stays."""
        await self._names.close()
        await self._sweeper.flush()
        self._ports.close()
        if not self._directory.sandboxes():
            await self._remove_from_kernel()
        await asyncio.to_thread(self._nft.close)

    async def teardown(self) -> None:
        """Releases every container and removes table, bridges, pairs and namespaces of this engine from the kernel."""
        for row in self._directory.sandboxes():
            await self.release(row.container_id)
        await self._sweeper.flush()
        await self._remove_from_kernel()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an administrator should know; for `docker info`."""
        return self._warnings

    # networks

    def all(self) -> list[Network]:
        return self._directory.networks()

    def get(self, reference: str) -> Network:
        """By id, name or the start of an id; raises NOT_FOUND "network X not found"."""
        return self._directory.network(DEFAULT_NETWORK if reference == "default" else reference)

    def endpoints_in(self, network: Network) -> list[tuple[SandboxRow, Endpoint]]:
        """Its containers with their endpoints, first attached first."""
        found = []
        for endpoint in self._directory.endpoints_in(network.id):
            row = self._directory.sandbox(endpoint.container_id)
            if row is not None:
                found.append((row, endpoint))
        return found

    async def create(self, wish: NetworkWish) -> Network:
        """Raises CONFLICT for a taken name, INVALID, DENIED or UNSUPPORTED for what cannot be."""
        if self._directory.has_name(wish.name) and wish.name not in PREDEFINED:
            raise conflict(f"network with name {wish.name} already exists")
        async with self._choosing_subnet():
            facts = HostFacts(self._directory.subnets(), links.host_networks(), links.uplink_mtu())
            network = plan_network(wish, facts, network_id=secrets.token_hex(32), created=self._moment())
            self._directory.add_network(network)
            try:
                await asyncio.to_thread(self._wiring.ensure_bridge, network)
            except BaseException:
                self._directory.delete_network(network.id)
                raise
        try:
            await self._firewall.add(_bridge_rules(network))
            await self._serve_names(network)
        except BaseException:
            await self._delete(network)
            raise
        self._announce("create", network, None)
        return network

    async def remove(self, reference: str) -> Network:
        """Raises DENIED for a predefined network and for one with containers."""
        network = self.get(reference)
        if network.name in PREDEFINED:
            raise denied(f"{network.name} is a pre-defined network and cannot be removed")
        if self._directory.endpoints_in(network.id):
            raise denied(f"error while removing network: network {network.name} id {network.id} has active endpoints")
        await self._delete(network)
        self._announce("destroy", network, None)
        return network

    # containers

    def check(self, networks: Mapping[str, EndpointWish]) -> None:
        """What can be said against a container's wishes before it starts; raises NOT_FOUND or INVALID."""
        for reference, wish in networks.items():
            check_wish(self.get(reference), wish)

    def inspect(self, container_id: str) -> Sandbox | None:
        """What a prepared container has; None where it has no network now."""
        return self._sandboxes.inspect(container_id)

    async def prepare(self, request: Attachment) -> Sandbox:
        """Makes everything `request` asks for; what an earlier life of the container left is released first.

        Raises NOT_FOUND, INVALID, DENIED, EXHAUSTED for a wish, INTERNAL (as Docker) for a taken port.
        """
        return await self._sandboxes.prepare(request)

    async def release(self, container_id: str, *, quietly: bool = False) -> None:
        """Takes back everything of a container that has ended. Unknown containers and repetition are no errors.

        `quietly` announces nothing: for what users do not know as a container.
        """
        await self._sandboxes.release(container_id, quietly=quietly)

    async def connect(self, container_id: str, reference: str, wish: EndpointWish) -> Endpoint:
        """Adds a running container to a network; raises DENIED where it is there already."""
        return await self._sandboxes.connect(container_id, self.get(reference), wish)

    async def disconnect(self, container_id: str, reference: str) -> None:
        """Takes a running container off a network; raises NOT_FOUND where it is not on it."""
        await self._sandboxes.disconnect(container_id, self.get(reference))

    def rename(self, container_id: str, name: str) -> None:
        """From now on the container is found by `name`."""
        self._directory.rename(container_id, name)

    # files

    def resolv_conf(self, container_id: str) -> str:
        """The text of the container's /etc/resolv.conf as of now; changes with `connect` and `disconnect`."""
        row = self._sandboxes.running(container_id)
        return self._names.resolv_conf(row, self._sandboxes.own_networks(container_id))

    def hosts(self, container_id: str) -> str:
        """The text of the container's /etc/hosts."""
        row = self._sandboxes.running(container_id)
        endpoints = self._directory.endpoints_of(container_id)
        return files.hosts(
            hostname=row.hostname,
            domain=row.domain,
            addresses=[endpoint.address for endpoint in endpoints],
            extra=row.names.hosts,
            host_gateway=self.host_gateway(container_id),
        )

    def host_gateway(self, container_id: str) -> str | None:
        """The address under which the container reaches its host: what `host-gateway` stands for."""
        return self._sandboxes.host_gateway(container_id)

    # inside

    def _moment(self) -> str:
        return self._clock.now().isoformat().replace("+00:00", "Z")

    def _bridges(self) -> list[Network]:
        return [network for network in self._directory.networks() if network.driver is Driver.BRIDGE]

    @asynccontextmanager
    async def _choosing_subnet(self) -> AsyncIterator[None]:
        """Between looking at the host's routes and having a route of our own nobody else may choose."""
        async with self._subnets:
            handle = await asyncio.to_thread(links.choose_subnets)
            try:
                yield
            finally:
                os.close(handle)

    async def _ensure_predefined(self) -> None:
        if not self._directory.has_name("host"):
            for name, driver in (("host", Driver.HOST), ("none", Driver.NULL)):
                self._directory.add_network(Network(secrets.token_hex(32), name, driver, self._moment()))
        known = {network.name: network for network in self._directory.networks()}.get(DEFAULT_NETWORK)
        async with self._choosing_subnet():
            wanted = self._default_network(known)
            if known is None:
                self._directory.add_network(wanted)
            elif wanted != known:
                await asyncio.to_thread(self._wiring.remove_bridge, known.bridge)
                self._directory.replace_network(wanted)
            await asyncio.to_thread(self._wiring.ensure_bridge, wanted)

    def _default_network(self, known: Network | None) -> Network:
        """The default bridge as the settings want it; one that exists keeps its subnet unless --bip says otherwise."""
        bip = self._settings.bip
        if known is not None and (bip is None or (known.pool is not None and known.pool.gateway_interface == bip)):
            return known
        if known is not None and self._directory.endpoints_in(known.id):
            _log.warning("--bip ignored while containers run on the default bridge")
            return known
        if bip is not None:
            pool = addresses.pool_for(bip.network, gateway=str(bip.ip))
        else:
            taken = [*self._directory.subnets(), *links.host_networks()]
            pool = addresses.pool_for(addresses.free_subnet(taken), by_user=False)
        if known is not None:
            return replace(known, pool=pool)
        return Network(
            id=secrets.token_hex(32),
            name=DEFAULT_NETWORK,
            driver=Driver.BRIDGE,
            created=self._moment(),
            pool=pool,
            bridge=self._settings.default_bridge,
            mtu=links.uplink_mtu(),
        )

    def _all_rules(self) -> list[Rule]:
        rules = [rule for network in self._bridges() for rule in _bridge_rules(network)]
        for row in self._directory.sandboxes():
            rules += self._sandboxes.port_rules(row.container_id)
        return rules

    def _retake_ports(self) -> None:
        for container_id, port in self._directory.ports():
            if not self._ports.take_again(port):
                _log.warning(
                    "a published port is also listened on by another program",
                    extra=logs.fields(
                        container=container_id[:12], port=f"{port.host_ip}:{port.host_port}/{port.proto}"
                    ),
                )

    async def _serve_names(self, network: Network) -> None:
        await self._firewall.add(await self._names.serve(network))

    async def _delete(self, network: Network) -> None:
        await self._firewall.remove(await self._names.stop(network))
        await self._firewall.remove(_bridge_rules(network))
        await asyncio.to_thread(self._wiring.remove_bridge, network.bridge)
        self._directory.delete_network(network.id)

    async def _remove_from_kernel(self) -> None:
        await self._firewall.drop()
        await asyncio.to_thread(self._wiring.sweep, endpoints=(), containers=(), bridges=())

    async def _sweep_strangers(self) -> None:
        removed = await asyncio.to_thread(
            self._wiring.sweep,
            endpoints=[endpoint.number for endpoint in self._directory.endpoints()],
            containers=[row.container_id for row in self._directory.sandboxes()],
            bridges=[network.bridge for network in self._bridges()],
        )
        if removed:
            _log.info("left-overs removed", extra=logs.fields(links=" ".join(removed)))


def _bridge_rules(network: Network) -> list[Rule]:
    if network.pool is None:
        return []
    return [BridgeRules(network.bridge, network.pool.subnet, network.internal, network.masquerade)]
