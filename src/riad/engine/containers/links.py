"""The links of a container as the others now are: its /etc/hosts and, on the default bridge, its environment."""

from __future__ import annotations

from collections.abc import Iterator

from riad.engine.containers import linking
from riad.engine.containers.create import network_mode
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.networks.model import DEFAULT_NETWORK
from riad.kernel.faults import conflict


def check(engine: Engine, container: Container) -> None:
    """Raises CONFLICT with Docker's sentences where it links to a container that it cannot reach now."""
    for link, other in _others(engine, container):
        if other.phase is not Phase.RUNNING:
            raise conflict(f"Cannot link to a non running container: /{other.name} AS /{container.name}/{link.alias}")
        if _reached(engine, container, other) is None:
            raise conflict(f"Cannot link to /{other.name}, as it does not belong to a network of /{container.name}")


def hosts(engine: Engine, container: Container) -> str:
    """The text of its /etc/hosts, with the containers it links to that run."""
    lines = [linking.host_line(link, linked) for link, linked in _linked(engine, container)]
    return engine.networks.hosts(container.id) + "".join(lines)


def environment(engine: Engine, container: Container) -> Iterator[str]:
    """On networks of users' own, links are names only."""
    if network_mode(container.settings.host) == DEFAULT_NETWORK:
        for link, other in _linked(engine, container):
            yield from linking.environment(container.name, link, other)


def followers(engine: Engine, container: Container) -> list[Container]:
    """The living containers that link to it."""
    return [
        other
        for other in engine.registry
        if other.phase.alive and any(found.id == container.id for _, found in _others(engine, other))
    ]


def _others(engine: Engine, container: Container) -> Iterator[tuple[linking.Link, Container]]:
    """Those that were removed have taken their links with them."""
    for text in container.settings.host.links:
        link = linking.parse_link(text)
        if (other := engine.registry.get(link.target)) is not None:
            yield link, other


def _linked(engine: Engine, container: Container) -> Iterator[tuple[linking.Link, linking.Linked]]:
    for link, other in _others(engine, container):
        if (linked := _reached(engine, container, other)) is not None:
            yield link, linked


def _reached(engine: Engine, container: Container, other: Container) -> linking.Linked | None:
    sandbox = engine.networks.inspect(other.id) if other.phase is Phase.RUNNING else None
    if sandbox is None:
        return None
    shared = next((e for name, e in sandbox.endpoints.items() if name in container.settings.networks), None)
    if shared is None:
        return None
    config = other.settings.config
    return linking.Linked(other.name, other.settings.hostname, shared.address, tuple(config.exposed_ports), config.env)
