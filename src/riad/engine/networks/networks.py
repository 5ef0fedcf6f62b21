"""The networks of one engine: what containers and the API ask for.

Order of calls for a container: `prepare` before its runtime starts (the runtime enters the namespace that it made),
`connect` and `disconnect` while it runs, `release` when it has ended; `release` and a failed `prepare` leave nothing
behind and may run twice. `recover` comes before all of them, once, with the containers that live.
Called from the event loop; the kernel is asked in threads. Different containers may be prepared at the same time.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network, IPv6Network
from pathlib import Path

from riad.engine.host.netwatch import HostWatch
from riad.engine.host.nftables import Nftables
from riad.engine.networks import files, hostfacts
from riad.engine.networks.addresses import DEFAULT_SOURCES, Source
from riad.engine.networks.beside import Beside
from riad.engine.networks.bridges import Bridges
from riad.engine.networks.closing import leaving
from riad.engine.networks.create import NetworkWish
from riad.engine.networks.defaults import DefaultBridge
from riad.engine.networks.directory import Directory
from riad.engine.networks.dns.service import NameService
from riad.engine.networks.endpoints import check_wish
from riad.engine.networks.firewall import Firewall
from riad.engine.networks.gate import Gate
from riad.engine.networks.hostfirewall import Verdict, judge
from riad.engine.networks.links import Wiring
from riad.engine.networks.model import (
    DEFAULT_NETWORK,
    PREDEFINED,
    Attachment,
    Driver,
    Endpoint,
    EndpointWish,
    NameWishes,
    Network,
    PortBinding,
    PublishedPort,
    Sandbox,
)
from riad.engine.networks.ports import HostPorts
from riad.engine.networks.reach import PortReach, Surroundings
from riad.engine.networks.ruleset import BridgeRules, Rule, masquerades
from riad.engine.networks.sandboxes import Announce, Sandboxes
from riad.engine.networks.store import NetworkStore, SandboxRow
from riad.engine.networks.sweeper import Sweeper
from riad.engine.state import State
from riad.kernel import logs
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault, Kind, denied

_log = logs.named("engine.networks")


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`instance`: hexadecimal digits, 8 or more, that are this engine's alone (they name its table, bridge, links).

    The rest is dockerd's: `bip`, `fixed_cidr`, `ipv6`, `fixed_cidr_v6` and `host_binding` (`--ip`) shape the default
    bridge, `sources` (`--default-address-pool`) are where subnets come from, `names`
    (`--dns`, `--dns-search`, `--dns-opt`) what containers get that ask for nothing of it themselves.
    """

    instance: str
    exec_root: Path
    bip: IPv4Interface | None = None
    fixed_cidr: IPv4Network | None = None
    ipv6: bool = False
    fixed_cidr_v6: IPv6Network | None = None
    host_binding: str = "0.0.0.0"  # noqa: S104 -- Docker's default
    sources: tuple[Source, ...] = DEFAULT_SOURCES
    names: NameWishes = field(default_factory=NameWishes)

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
        self._names = NameService(self._directory, defaults=settings.names)
        self._sweeper = Sweeper(self._wiring)
        self._gate = Gate(self._firewall, self._nft.listing, own_table=settings.table, is_own=self._wiring.owns)
        self._beside = Beside(settings.table)
        self._watch = HostWatch(self._rules_changed, self._routes_changed, own_table=settings.table, alike="riad_")
        self._sandboxes = Sandboxes(
            self._directory, self._gate, self._wiring, self._ports, self._names, self._sweeper, announce
        )
        default = DefaultBridge(
            bridge=settings.default_bridge,
            mtu=hostfacts.uplink_mtu(),
            bip=settings.bip,
            fixed=settings.fixed_cidr,
            ipv6=settings.ipv6,
            fixed6=settings.fixed_cidr_v6,
            host_binding=settings.host_binding,
        )
        self._bridges = Bridges(self._directory, self._wiring, default=default, sources=settings.sources)
        self._bringing_up = asyncio.Lock()
        self._forward_warning = ""

    # life of the engine

    async def recover(self, live: Collection[str]) -> None:
        """Makes host and store agree again: everything of containers not in `live` goes, theirs stays as it is."""
        await asyncio.to_thread(hostfacts.enable_forwarding)
        for row in self._directory.sandboxes():
            if row.container_id not in live:
                await self.release(row.container_id)  # an address of theirs would keep a network on a taken subnet
        await self._take_back_half_connected()
        await self._sweep_strangers()
        self._ensure_without_bridge()
        await self._bridges.recover(moment=self._moment())
        self._retake_ports()
        await self._gate.look()
        await self._firewall.replace(self._all_rules())
        for network in self._bridges.up():
            await self._serve_names(network)
        await self._sandboxes.serve_again()
        self._watch.start()
        await self._pass_docker()

    async def _take_back_half_connected(self) -> None:
        """A daemon that was killed while it connected a running container has written the endpoint and made no link."""
        bridged = {network.id for network in self._directory.networks() if network.driver is Driver.BRIDGE}
        endpoints = [endpoint for endpoint in self._directory.endpoints() if endpoint.network_id in bridged]
        for endpoint in await asyncio.to_thread(self._wiring.half_plugged, endpoints):
            self._directory.delete_endpoint(endpoint.id)

    async def close(self) -> None:
        """Stops what runs in this process. Live containers keep their network; without any, nothing of ours stays."""
        await self._watch.stop()
        await self._names.close()
        await self._sandboxes.close()
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
        forward = (self._forward_warning,) if self._forward_warning else ()
        return (*self._bridges.warnings, *self._bridges.waiting.values(), *forward)

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
        network = await self._bridges.create(wish, moment=self._moment())
        try:
            await self._firewall.add(_bridge_rules(network))
            await self._serve_names(network)
            await self._pass_docker()
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
        if network.settings is not None and any(each.config_from == network.name for each in self.all()):
            raise denied(f'configuration network "{network.name}" is in use')
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

        Raises NOT_FOUND, INVALID, DENIED, EXHAUSTED for a wish, INTERNAL (as Docker) for a taken port, CONFLICT for a
        network whose subnet another program of the host has taken.
        """
        if self._bridges.waiting:
            await self._bring_up(request.networks)
        return await self._sandboxes.prepare(request)

    async def release(self, container_id: str, *, quietly: bool = False) -> None:
        """Takes back everything of a container that has ended. Unknown containers and repetition are no errors.

        `quietly` announces nothing: for what users do not know as a container.
        """
        await self._sandboxes.release(container_id, quietly=quietly)

    def announce_release(self, container_id: str) -> None:
        """Tells what a quiet `release` that follows at once will do."""
        self._sandboxes.announce_release(container_id)

    async def connect(self, container_id: str, reference: str, wish: EndpointWish) -> Endpoint:
        """Adds a running container to a network; raises DENIED where it is there already."""
        if self._bridges.waiting:
            await self._bring_up([reference])
        return await self._sandboxes.connect(container_id, self.get(reference), wish)

    async def disconnect(self, container_id: str, reference: str) -> None:
        """Takes a running container off a network; raises NOT_FOUND where it is not on it."""
        await self._sandboxes.disconnect(container_id, self.get(reference))

    async def republish(self, container_id: str, wanted: tuple[PortBinding, ...]) -> tuple[PublishedPort, ...]:
        """Publishes exactly `wanted` while the container runs; connections through ports that stay go on.

        Raises INTERNAL, with everything as it was, where a port is taken; CONFLICT where the container does not run.
        """
        return await self._sandboxes.republish(container_id, wanted)

    async def reach(self) -> list[PortReach]:
        """Every published port and who can reach it, as the host's rules are now."""
        await self._gate.refresh()
        link, near, near6 = await asyncio.to_thread(hostfacts.neighbours)
        host = self._gate.host
        around = Surroundings(host.ruleset, link, near, near6, hidden_rules=host.has_hidden_rules)
        return [found for row in self._directory.sandboxes() for found in self._sandboxes.reach(row, around)]

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
            addresses=[address for endpoint in endpoints for address in endpoint.addresses],
            extra=row.names.hosts,
            host_gateway=self.host_gateway(container_id),
        )

    def host_gateway(self, container_id: str) -> str | None:
        """The address under which the container reaches its host: what `host-gateway` stands for."""
        return self._sandboxes.host_gateway(container_id)

    # inside

    async def _rules_changed(self) -> None:
        """Other programs have changed the host's rules: stay what we are beside them."""
        if await self._firewall.put_back():
            _log.warning("our rules were gone and are back", extra=logs.fields(table=self._settings.table))
        await self._gate.refresh()
        await self._pass_docker()
        await self._make_way()

    async def _routes_changed(self) -> None:
        await self._gate.refresh_links()
        await self._make_way()

    async def _pass_docker(self) -> None:
        """Where a FORWARD policy of dockerd would drop our packets; elsewhere a dropping policy is the host's own."""
        bridges = [network.bridge for network in self._bridges.up() if network.bridge]
        self._forward_warning = ""
        if self._gate.host.has_docker and await asyncio.to_thread(self._beside.refresh, bridges):
            return
        link, _, _ = await asyncio.to_thread(hostfacts.neighbours)
        refused = judge(self._gate.host.ruleset, "forward", leaving(self._settings.default_bridge, link))
        if refused.certain is Verdict.DROP:
            self._forward_warning = (
                f"the host's firewall drops what is forwarded (chain {refused.by}): containers reach nothing outside"
                f" until it accepts what comes by {self._settings.default_bridge} and br-*, and the answers to it"
            )
            _log.warning("forwarding is refused", extra=logs.fields(warning=self._forward_warning))

    async def _make_way(self) -> None:
        """A network that nobody uses leaves its subnet to a route that has come (a VPN's, say) for another."""
        for network, obstacle in self._bridges.in_the_way():
            await self._firewall.remove([*await self._names.stop(network), *_bridge_rules(network)])
            moved = await self._bridges.move(network, obstacle)
            await self._firewall.add(_bridge_rules(moved))
            await self._serve_names(moved)

    def _moment(self) -> str:
        return self._clock.now().isoformat().replace("+00:00", "Z")

    def _ensure_without_bridge(self) -> None:
        if not self._directory.has_name("host"):
            for name, driver in (("host", Driver.HOST), ("none", Driver.NULL)):
                self._directory.add_network(Network(secrets.token_hex(32), name, driver, self._moment()))

    async def _bring_up(self, references: Iterable[str]) -> None:
        """Those that had no place at start may have one by now; raises CONFLICT where not."""
        async with self._bringing_up:
            for network in map(self.get, references):
                if network.id in self._bridges.waiting:
                    settled = await self._bridges.bring_up(network)
                    await self._firewall.add(_bridge_rules(settled))
                    await self._serve_names(settled)
                    self._bridges.mark_up(settled)

    def _all_rules(self) -> list[Rule]:
        rules = [rule for network in self._bridges.up() for rule in _bridge_rules(network)]
        for row in self._directory.sandboxes():
            rules += self._sandboxes.port_rules(row.container_id)
        return [*rules, *self._gate.closed(rules)]

    def _retake_ports(self) -> None:
        for container_id, port in self._directory.ports():
            if port.host_port and not self._ports.take_again(port):
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
        await self._bridges.delete(network)

    async def _remove_from_kernel(self) -> None:
        if self._gate.host.has_docker:
            await asyncio.to_thread(self._beside.leave)
        await self._firewall.drop()
        await asyncio.to_thread(self._wiring.sweep, endpoints=(), containers=(), bridges=())

    async def _sweep_strangers(self) -> None:
        removed = await asyncio.to_thread(
            self._wiring.sweep,
            endpoints=[endpoint.number for endpoint in self._directory.endpoints()],
            containers=[row.container_id for row in self._directory.sandboxes()],
            bridges=[
                network.bridge or (network.uplink.parent if network.uplink is not None else "")
                for network in self._directory.networks()
            ],
        )
        if removed:
            _log.info("left-overs removed", extra=logs.fields(links=" ".join(removed)))


def _bridge_rules(network: Network) -> list[Rule]:
    if network.driver is not Driver.BRIDGE or network.pool is None:
        return []
    subnet6 = network.pool6.subnet if network.pool6 is not None else None
    if not isinstance(network.pool.subnet, IPv4Network) or not isinstance(subnet6, IPv6Network | None):
        raise Fault(Kind.INTERNAL, f"network {network.name} has subnets of the wrong family")
    return [
        BridgeRules(
            name=network.bridge,
            subnet=network.pool.subnet,
            internal=network.internal,
            masquerade=masquerades(network.mode, asked=network.masquerade),
            subnet6=subnet6,
            masquerade6=masquerades(network.mode6, asked=network.masquerade6),
        )
    ]
