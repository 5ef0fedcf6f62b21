"""Which names a container finds, and what they stand for. Pure over the directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from riad.engine.networks.directory import Directory
from riad.engine.networks.model import Address, Endpoint, Network
from riad.engine.networks.store import SandboxRow


def names_of(row: SandboxRow, endpoint: Endpoint) -> list[str]:
    """A container's names in one network: its own, its aliases there, the short id, its host name; in that order."""
    found = [row.name, *endpoint.aliases, row.container_id[:12], row.hostname]
    return list(dict.fromkeys(name.lower() for name in found if name))


@dataclass(frozen=True, slots=True)
class Asker:
    """The container that a query came from, with all its networks: it finds the neighbours in each of them."""

    row: SandboxRow
    networks: tuple[Network, ...]

    @property
    def may_ask_outside(self) -> bool:
        return any(not network.internal for network in self.networks)


def asker(directory: Directory, network: Network, source: Address) -> Asker | None:
    """The container with that address; None for the host itself and for strangers."""
    endpoint = directory.endpoint_at(network.id, source)
    return asker_of(directory, endpoint.container_id) if endpoint is not None else None


def asker_of(directory: Directory, container_id: str) -> Asker | None:
    row = directory.sandbox(container_id)
    if row is None:
        return None
    mine = directory.endpoints_of(row.container_id)
    return Asker(row, tuple(directory.network(each.network_id) for each in mine))


def resolve(directory: Directory, who: Asker, name: str) -> list[Address]:
    """The addresses, of both families, behind `name` (or `name.network`) as `who` sees them; empty for a stranger."""
    found: list[Address] = []
    for network in who.networks:
        if not network.has_names:
            continue
        short = name.removesuffix(f".{network.name.lower()}")
        for row, endpoint in _neighbours(directory, network):
            known = names_of(row, endpoint)
            if name in known or short in known:
                found.extend(endpoint.addresses)
    return list(dict.fromkeys(found))


def reverse(directory: Directory, who: Asker, address: Address) -> str | None:
    """`name.network` of the neighbour with that address."""
    for network in who.networks:
        endpoint = directory.endpoint_at(network.id, address) if network.has_names else None
        row = directory.sandbox(endpoint.container_id) if endpoint is not None else None
        if row is not None:
            name = row.name if 0 < len(row.name) < 64 else row.container_id[:12]
            return f"{name}.{network.name[:63]}"
    return None


def _neighbours(directory: Directory, network: Network) -> Iterator[tuple[SandboxRow, Endpoint]]:
    for endpoint in directory.endpoints_in(network.id):
        row = directory.sandbox(endpoint.container_id)
        if row is not None:
            yield row, endpoint
