"""Bridges with subnets that are theirs alone on this host: made at start, with a new network, or once there is room.

Everything that needs a subnet happens under the lock of `choosing`, because engines cannot see each other's plans.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Interface
from types import MappingProxyType
from typing import assert_never

from riad.engine.networks import addresses, links, revive
from riad.engine.networks.choosing import choosing_subnets
from riad.engine.networks.create import HostFacts, NetworkWish, plan_network
from riad.engine.networks.directory import Directory
from riad.engine.networks.links import Wiring
from riad.engine.networks.model import DEFAULT_NETWORK, PREDEFINED, Driver, Network, Pool
from riad.engine.networks.revive import HostRoute, Revival
from riad.kernel import logs
from riad.kernel.faults import Fault, Kind, conflict

_log = logs.named("engine.networks")


class Bridges:
    def __init__(self, directory: Directory, wiring: Wiring, *, default_bridge: str, bip: IPv4Interface | None) -> None:
        self._directory = directory
        self._wiring = wiring
        self._default_bridge = default_bridge
        self._bip = bip
        self._lock = asyncio.Lock()
        self._waiting: dict[str, str] = {}
        self.warnings: list[str] = []

    @property
    def waiting(self) -> Mapping[str, str]:
        """Networks that have no bridge now, by id, and why. `bring_up` tries again."""
        return MappingProxyType(self._waiting)

    def up(self) -> list[Network]:
        return [n for n in self._directory.networks() if n.driver is Driver.BRIDGE and n.id not in self._waiting]

    async def recover(self, *, moment: str) -> None:
        """Every network's bridge, the default one's first. Raises CONFLICT only where that one cannot be made."""
        async with self._choosing():
            default = self._default(moment)
            await self._settle(default)
            for network in self.up():
                if network.id != default.id:
                    await self._settle_or_wait(network)

    async def create(self, wish: NetworkWish, *, moment: str) -> Network:
        """Raises CONFLICT for a taken name, INVALID, DENIED, UNSUPPORTED or EXHAUSTED for what cannot be."""
        async with self._choosing():
            if self._directory.has_name(wish.name) and wish.name not in PREDEFINED:
                raise conflict(f"network with name {wish.name} already exists")
            routes = [route.destination for route in links.host_routes()]
            facts = HostFacts(self._directory.subnets(), routes, links.uplink_mtu())
            network = plan_network(wish, facts, network_id=secrets.token_hex(32), created=moment)
            self._directory.add_network(network)
            try:
                await asyncio.to_thread(self._wiring.ensure_bridge, network)
            except BaseException:
                self._directory.delete_network(network.id)
                raise
        return network

    async def bring_up(self, network: Network) -> Network:
        """For one that waits, which it does until `mark_up`; raises CONFLICT while its place is still taken."""
        async with self._choosing():
            return await self._settle(network)

    def mark_up(self, network: Network) -> None:
        """It waits no more: besides its bridge it has its rules and names."""
        self._waiting.pop(network.id, None)

    async def delete(self, network: Network) -> None:
        await asyncio.to_thread(self._wiring.remove_bridge, network.bridge)
        self._directory.delete_network(network.id)
        self._waiting.pop(network.id, None)

    @asynccontextmanager
    async def _choosing(self) -> AsyncIterator[None]:
        async with self._lock, choosing_subnets():
            yield

    def _is_fixed(self, network: Network) -> bool:
        if network.is_default:
            return self._bip is not None
        return network.pool is not None and network.pool.by_user

    async def _settle_or_wait(self, network: Network) -> None:
        try:
            await self._settle(network)
        except Fault as fault:
            if fault.kind is not Kind.CONFLICT:
                raise
            self._waiting[network.id] = fault.message
            _log.warning("a network stays without bridge", extra=logs.fields(warning=fault.message))

    async def _settle(self, network: Network) -> Network:
        """Raises CONFLICT where a user-defined network's subnet or name is another's now."""
        fixed, in_use = self._is_fixed(network), bool(self._directory.endpoints_in(network.id))
        routes = links.host_routes()
        obstacle = revive.collision(network, routes, fixed=fixed)
        if obstacle is not None:
            match revive.decide(network, in_use=in_use, fixed=fixed):
                case Revival.KEEP:
                    self._warn("a subnet is used twice", revive.warning(network, obstacle, fixed=fixed))
                case Revival.MOVE:
                    network = self._moved(network, obstacle, routes)
                case Revival.REFUSE:
                    await asyncio.to_thread(self._wiring.remove_bridge, network.bridge)
                    raise conflict(revive.refusal(network, obstacle))
                case never:
                    assert_never(never)
        await asyncio.to_thread(self._wiring.ensure_bridge, network)
        return network

    def _moved(self, network: Network, obstacle: HostRoute, routes: list[HostRoute]) -> Network:
        """With a free subnet; nobody has an address of the old one, because containers get theirs when they start."""
        try:
            pool = self._free_pool(routes)
        except Fault as fault:
            self._warn("a subnet is used twice", f"{revive.warning(network, obstacle, fixed=False)}: {fault.message}")
            return network
        moved = replace(network, pool=pool)
        self._directory.replace_network(moved)
        _log.warning(
            "a network has got another subnet",
            extra=logs.fields(
                network=network.name, subnet=_subnet(moved), was=_subnet(network), taken_by=str(obstacle)
            ),
        )
        return moved

    def _free_pool(self, routes: list[HostRoute]) -> Pool:
        taken = [*self._directory.subnets(), *(route.destination for route in routes)]
        return addresses.pool_for(addresses.free_subnet(taken), by_user=False)

    def _default(self, moment: str) -> Network:
        """The default bridge as the settings want it; one that exists keeps its subnet unless --bip says otherwise."""
        known = next((n for n in self._directory.networks() if n.name == DEFAULT_NETWORK), None)
        bip = self._bip
        if known is not None and (bip is None or (known.pool is not None and known.pool.gateway_interface == bip)):
            return known
        if known is not None and self._directory.endpoints_in(known.id):
            self._warn("--bip is ignored", "--bip is ignored while containers run on the default bridge")
            return known
        if bip is not None:
            self._check_bip(bip)
            pool = addresses.pool_for(bip.network, gateway=str(bip.ip))
        else:
            pool = self._free_pool(links.host_routes())
        if known is not None:
            wanted = replace(known, pool=pool)
            self._directory.replace_network(wanted)
            return wanted
        wanted = Network(
            id=secrets.token_hex(32),
            name=DEFAULT_NETWORK,
            driver=Driver.BRIDGE,
            created=moment,
            pool=pool,
            bridge=self._default_bridge,
            mtu=links.uplink_mtu(),
        )
        self._directory.add_network(wanted)
        return wanted

    def _check_bip(self, bip: IPv4Interface) -> None:
        for network in self._directory.networks():
            overlaps = network.pool is not None and network.pool.subnet.overlaps(bip.network)
            if overlaps and not network.is_default and self._directory.endpoints_in(network.id):
                raise conflict(
                    f"--bip {bip} overlaps the network {network.name} ({_subnet(network)}), where containers run:"
                    " choose another, or stop them first"
                )

    def _warn(self, event: str, message: str) -> None:
        self.warnings.append(message)
        _log.warning(event, extra=logs.fields(warning=message))


def _subnet(network: Network) -> str:
    return str(network.pool.subnet) if network.pool is not None else ""
