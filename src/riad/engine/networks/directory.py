"""Which networks, sandboxes, endpoints and published ports there are: in memory for answers, in the store for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from riad.engine.networks.model import Address, Endpoint, Network, PortBinding, PublishedPort, Subnet
from riad.engine.networks.store import NetworkStore, SandboxRow
from riad.kernel.faults import invalid, not_found


class Directory:
    """Every change is written to the store first. Called from the event loop only."""

    def __init__(self, store: NetworkStore) -> None:
        self._store = store
        self._networks = {network.id: network for network in store.networks()}
        self._sandboxes = {row.container_id: row for row in store.sandboxes()}
        self._endpoints = {endpoint.id: endpoint for endpoint in store.endpoints()}
        self._ports: dict[str, list[PublishedPort]] = {}
        for container_id, port in store.ports():
            self._ports.setdefault(container_id, []).append(port)

    # networks

    def networks(self) -> list[Network]:
        return list(self._networks.values())

    def network(self, reference: str) -> Network:
        """By id, name or the start of an id; raises NOT_FOUND, or INVALID where the start fits several."""
        if reference in self._networks:
            return self._networks[reference]
        for network in self._networks.values():
            if network.name == reference:
                return network
        fitting = [network for key, network in self._networks.items() if reference and key.startswith(reference)]
        if len(fitting) > 1:
            raise invalid(f"network {reference} is ambiguous ({len(fitting)} matches found based on ID prefix)")
        if not fitting:
            raise not_found(f"network {reference} not found")
        return fitting[0]

    def has_name(self, name: str) -> bool:
        return any(network.name == name for network in self._networks.values())

    def add_network(self, network: Network) -> None:
        self._store.add_network(network)
        self._networks[network.id] = network

    def replace_network(self, network: Network) -> None:
        self._store.replace_network(network)
        self._networks[network.id] = network

    def delete_network(self, network_id: str) -> None:
        self._store.delete_network(network_id)
        self._networks.pop(network_id, None)

    def subnets(self) -> list[Subnet]:
        return [pool.subnet for network in self._networks.values() for pool in network.pools]

    def global_id(self) -> bytes:
        """The 5 random bytes of this engine's own IPv6 prefix."""
        return self._store.global_id()

    # sandboxes

    def sandbox(self, container_id: str) -> SandboxRow | None:
        return self._sandboxes.get(container_id)

    def sandboxes(self) -> list[SandboxRow]:
        return list(self._sandboxes.values())

    def add_sandbox(self, row: SandboxRow) -> None:
        self._store.add_sandbox(row)
        self._sandboxes[row.container_id] = row

    def rename(self, container_id: str, name: str) -> None:
        row = self._sandboxes.get(container_id)
        if row is not None:
            self._store.rename_sandbox(container_id, name)
            self._sandboxes[container_id] = replace(row, name=name)

    def delete_sandbox(self, container_id: str) -> None:
        self._store.delete_sandbox(container_id)
        self._sandboxes.pop(container_id, None)
        self._ports.pop(container_id, None)
        for endpoint in self.endpoints_of(container_id):
            del self._endpoints[endpoint.id]

    # endpoints

    def endpoints(self) -> Iterator[Endpoint]:
        return iter(self._endpoints.values())

    def endpoints_of(self, container_id: str) -> list[Endpoint]:
        """First attached first."""
        return [endpoint for endpoint in self._endpoints.values() if endpoint.container_id == container_id]

    def endpoints_in(self, network_id: str) -> list[Endpoint]:
        return [endpoint for endpoint in self._endpoints.values() if endpoint.network_id == network_id]

    def endpoint_at(self, network_id: str, address: Address) -> Endpoint | None:
        for endpoint in self._endpoints.values():
            if endpoint.network_id == network_id and address in endpoint.addresses:
                return endpoint
        return None

    def used_addresses(self, network_id: str) -> set[Address]:
        return {address for endpoint in self.endpoints_in(network_id) for address in endpoint.addresses}

    def add_endpoint(self, endpoint: Endpoint) -> Endpoint:
        stored = self._store.add_endpoint(endpoint)
        self._endpoints[stored.id] = stored
        return stored

    def delete_endpoint(self, endpoint_id: str) -> None:
        self._store.delete_endpoint(endpoint_id)
        self._endpoints.pop(endpoint_id, None)

    # ports

    def ports_of(self, container_id: str) -> tuple[PublishedPort, ...]:
        return tuple(self._ports.get(container_id, ()))

    def ports(self) -> Iterator[tuple[str, PublishedPort]]:
        for container_id, ports in self._ports.items():
            for port in ports:
                yield container_id, port

    def add_ports(self, container_id: str, ports: Iterable[PublishedPort]) -> None:
        for port in ports:
            self._store.add_port(container_id, port)
            self._ports.setdefault(container_id, []).append(port)

    def remove_ports(self, container_id: str, ports: Iterable[PublishedPort]) -> None:
        for port in ports:
            self._store.delete_port(container_id, port)
            self._ports[container_id].remove(port)

    def want_ports(self, container_id: str, wanted: tuple[PortBinding, ...]) -> None:
        """What the container asks to have published from now on."""
        row = self._sandboxes[container_id]
        self._store.want_ports(container_id, wanted)
        self._sandboxes[container_id] = replace(row, wanted=wanted)
