"""Networks with subnets that are theirs alone on this host: made at start, when created, or once there is room.

Everything that needs a subnet happens under the lock of `choosing`, because engines cannot see each other's plans.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from riad.engine.networks import hostfacts, ipam, revive
from riad.engine.networks.addresses import DEFAULT_SOURCES, Source, ula_source
from riad.engine.networks.choosing import choosing_subnets
from riad.engine.networks.create import HostFacts, NetworkWish, plan_network, plan_settings, with_settings
from riad.engine.networks.defaults import DefaultBridge
from riad.engine.networks.directory import Directory
from riad.engine.networks.ipam import Taken
from riad.engine.networks.links import Wiring
from riad.engine.networks.model import PREDEFINED, Network
from riad.engine.networks.revive import HostRoute, Revival
from riad.kernel import logs
from riad.kernel.faults import Fault, Kind, conflict

_log = logs.named("engine.networks")


class Bridges:
    def __init__(
        self,
        directory: Directory,
        wiring: Wiring,
        *,
        default: DefaultBridge,
        sources: tuple[Source, ...] = DEFAULT_SOURCES,
    ) -> None:
        self._directory = directory
        self._wiring = wiring
        self._wanted = default
        self._sources = (*sources, ula_source(directory.global_id()))
        self._lock = asyncio.Lock()
        self._waiting: dict[str, str] = {}
        self.warnings: list[str] = []

    @property
    def waiting(self) -> Mapping[str, str]:
        """Networks that have no bridge now, by id, and why. `bring_up` tries again."""
        return MappingProxyType(self._waiting)

    def up(self) -> list[Network]:
        return [n for n in self._directory.networks() if n.driver.gives_links and n.id not in self._waiting]

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
            number = secrets.token_hex(32)
            if wish.config_only:
                network = plan_settings(wish, network_id=number, created=moment)
                self._directory.add_network(network)
                return network
            if wish.config_from:
                wish = with_settings(wish, self._directory.network(wish.config_from))
            network = plan_network(wish, self._facts(), network_id=number, created=moment)
            self._directory.add_network(network)
            try:
                await asyncio.to_thread(self._wiring.ensure, network)
            except BaseException:
                self._directory.delete_network(network.id)
                raise
        return network

    def _facts(self) -> HostFacts:
        networks = self._directory.networks()
        return HostFacts(
            own_subnets=self._directory.subnets(),
            routes=[route.destination for route in hostfacts.host_routes()],
            mtu=hostfacts.uplink_mtu(),
            sources=self._sources,
            parents={each.uplink.parent: each.id for each in networks if each.uplink is not None},
        )

    async def bring_up(self, network: Network) -> Network:
        """For one that waits, which it does until `mark_up`; raises CONFLICT while its place is still taken."""
        async with self._choosing():
            return await self._settle(network)

    def mark_up(self, network: Network) -> None:
        """It waits no more: besides its bridge it has its rules and names."""
        self._waiting.pop(network.id, None)

    def in_the_way(self) -> list[tuple[Network, HostRoute]]:
        """Networks that nobody uses and nobody chose the subnet of, and the host's route that has come into theirs."""
        routes = hostfacts.host_routes()
        found = []
        for network in self.up():
            fixed, in_use = self._is_fixed(network), bool(self._directory.endpoints_in(network.id))
            obstacle = revive.collision(network, routes, fixed=fixed)
            if obstacle is None:
                continue
            if revive.decide(network, in_use=in_use, fixed=fixed) is Revival.MOVE:
                found.append((network, obstacle))
            else:
                self._warn("a subnet is used twice", revive.warning(network, obstacle, fixed=fixed))
        return found

    async def move(self, network: Network, obstacle: HostRoute) -> Network:
        """Gives it another subnet, on a bridge made anew."""
        async with self._choosing():
            await asyncio.to_thread(self._wiring.remove, network)
            moved = self._moved(network, obstacle, hostfacts.host_routes())
            await asyncio.to_thread(self._wiring.ensure, moved)
            return moved

    async def delete(self, network: Network) -> None:
        await asyncio.to_thread(self._wiring.remove, network)
        self._directory.delete_network(network.id)
        self._waiting.pop(network.id, None)

    @asynccontextmanager
    async def _choosing(self) -> AsyncIterator[None]:
        async with self._lock, choosing_subnets():
            yield

    def _is_fixed(self, network: Network) -> bool:
        if network.is_default:
            return self._wanted.bip is not None
        return any(pool.by_user for pool in network.pools)

    async def _settle_or_wait(self, network: Network) -> None:
        try:
            await self._settle(network)
        except Fault as fault:
            if fault.kind not in (Kind.CONFLICT, Kind.INVALID, Kind.UNSUPPORTED):
                raise
            self._waiting[network.id] = fault.message
            _log.warning("a network stays without bridge", extra=logs.fields(warning=fault.message))

    async def _settle(self, network: Network) -> Network:
        """Raises CONFLICT where a user-defined network's subnet or name is another's now."""
        fixed, in_use = self._is_fixed(network), bool(self._directory.endpoints_in(network.id))
        routes = hostfacts.host_routes()
        obstacle = revive.collision(network, routes, fixed=fixed)
        if obstacle is not None:
            match revive.decide(network, in_use=in_use, fixed=fixed):
                case Revival.KEEP:
                    self._warn("a subnet is used twice", revive.warning(network, obstacle, fixed=fixed))
                case Revival.MOVE:
                    network = self._moved(network, obstacle, routes)
                case Revival.REFUSE:
                    await asyncio.to_thread(self._wiring.remove, network)
                    raise conflict(revive.refusal(network, obstacle))
                case never:
                    assert_never(never)
        await asyncio.to_thread(self._wiring.ensure, network)
        return network

    def _moved(self, network: Network, obstacle: HostRoute, routes: list[HostRoute]) -> Network:
        """With a free subnet; nobody has an address of the old one, because containers get theirs when they start."""
        taken = self._taken(routes)
        try:
            pool = ipam.chosen_ipv4(taken)
            pool6 = ipam.chosen_ipv6(taken) if network.pool6 is not None else None
        except Fault as fault:
            self._warn("a subnet is used twice", f"{revive.warning(network, obstacle, fixed=False)}: {fault.message}")
            return network
        moved = replace(network, pool=pool, pool6=pool6)
        self._directory.replace_network(moved)
        _log.warning(
            "a network has got another subnet",
            extra=logs.fields(
                network=network.name, subnet=_subnet(moved), was=_subnet(network), taken_by=str(obstacle)
            ),
        )
        return moved

    def _taken(self, routes: list[HostRoute]) -> Taken:
        return Taken(self._directory.subnets(), [route.destination for route in routes], self._sources)

    def _default(self, moment: str) -> Network:
        """The default bridge as the settings want it; one that exists keeps its subnet unless they say otherwise."""
        known = next((n for n in self._directory.networks() if n.is_default), None)
        if known is not None and self._wanted.fits(known):
            return known
        if known is not None and self._directory.endpoints_in(known.id):
            self._warn(
                "default bridge stays as it is",
                "the options --bip, --fixed-cidr, --ipv6 and --fixed-cidr-v6 are ignored while containers run on the"
                " default bridge: stop them and restart the engine",
            )
            return known
        others = [n for n in self._directory.networks() if not n.is_default]
        busy = {n.id for n in others if self._directory.endpoints_in(n.id)}
        self._wanted.check(others, busy)
        routes = [route for route in hostfacts.host_routes() if known is None or route.link != known.bridge]
        own = [pool.subnet for network in others for pool in network.pools]
        taken = Taken(own, [route.destination for route in routes], self._sources)
        made = self._wanted.made(known, taken, network_id=secrets.token_hex(32), moment=moment)
        if known is None:
            self._directory.add_network(made)
        else:
            self._directory.replace_network(made)
        return made

    def _warn(self, event: str, message: str) -> None:
        if message in self.warnings:
            return
        self.warnings.append(message)
        _log.warning(event, extra=logs.fields(warning=message))


def _subnet(network: Network) -> str:
    return str(network.pool.subnet) if network.pool is not None else ""
