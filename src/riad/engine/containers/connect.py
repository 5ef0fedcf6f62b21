"""Putting a container on a network and taking it off, while it runs (at once) or rests (from its next start)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from riad.engine.containers import links
from riad.engine.containers.create import shares_network_with
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container
from riad.engine.networks.model import Driver, EndpointWish, Network
from riad.kernel.faults import Fault, Kind, denied, not_found


@dataclass(frozen=True, slots=True)
class Connector:
    """What the network routes need of containers."""

    engine: Engine

    async def connect(self, reference: str, network: Network, wish: EndpointWish) -> None:
        """By name or id. Raises NOT_FOUND, DENIED where it is on the network already, INVALID for the wish."""
        container = self.engine.registry.find(reference)
        async with self.engine.registry.lock(container.id):
            container = self.engine.registry.fresh(container)
            self._check(container, network)
            if _known_as(self.engine, container, network) is not None:
                raise denied(f"endpoint with name {container.name} already exists in network {network.name}")
            self.engine.networks.check({network.name: wish})
            if container.phase.alive:
                await self.engine.networks.connect(container.id, network.id, wish)
            networks = {**container.settings.networks, network.name: wish}
            without_none = {name: each for name, each in networks.items() if name != "none"}
            self._remember(container, without_none)

    async def disconnect(self, reference: str, network: Network, *, force: bool) -> None:
        """Raises NOT_FOUND where it is not on the network; `force` also cuts off a container that is gone."""
        try:
            container = self.engine.registry.find(reference)
        except Fault as fault:
            if force and fault.kind is Kind.NOT_FOUND:
                await self._cut_off(reference, network)
                return
            raise
        async with self.engine.registry.lock(container.id):
            container = self.engine.registry.fresh(container)
            self._check(container, network)
            name = _known_as(self.engine, container, network)
            if name is None:
                raise not_found(f"container {container.id} is not connected to network {network.name}")
            if container.phase.alive:
                await self.engine.networks.disconnect(container.id, network.id)
            rest = {key: wish for key, wish in container.settings.networks.items() if key != name}
            self._remember(container, rest or {"none": EndpointWish()})

    async def _cut_off(self, reference: str, network: Network) -> None:
        for row, _ in self.engine.networks.endpoints_in(network):
            if reference in (row.name, row.container_id):
                await self.engine.networks.release(row.container_id)

    def _check(self, container: Container, network: Network) -> None:
        if shares_network_with(container.settings.host):
            raise denied("container sharing network namespace with another container or host cannot be connected")
        on_host = any(
            self.engine.networks.get(name).driver is Driver.HOST for name in container.settings.networks if name
        )
        if network.driver is Driver.HOST or on_host:
            raise denied("container cannot be disconnected from host network or connected to host network")

    def _remember(self, container: Container, networks: dict[str, EndpointWish]) -> None:
        settings = container.settings
        mode = settings.host.network_mode
        if (mode or "default").replace("default", "bridge") not in networks:
            mode = next(iter(networks))
        settings = replace(settings, networks=networks, host=replace(settings.host, network_mode=mode))
        container = self.engine.registry.change(container, settings=settings)
        if container.phase.alive:
            self._rewrite_files(container)

    def _rewrite_files(self, container: Container) -> None:
        """In place: the container has the files themselves mounted. What it changed in them itself gives way."""
        folder = self.engine.paths.folder(container.id)
        for name, text in (
            ("hosts", links.hosts(self.engine, container)),
            ("resolv.conf", self.engine.networks.resolv_conf(container.id)),
        ):
            if (folder / name).exists():
                (folder / name).write_text(text)


def _known_as(engine: Engine, container: Container, network: Network) -> str | None:
    """The key under which the container's settings name the network: its name, id or the start of its id."""
    for key in container.settings.networks:
        try:
            if engine.networks.get(key).id == network.id:
                return key
        except Fault:
            continue  # a network that was removed meanwhile
    return None
