"""Changing the published ports of a container, while it runs (at once, without a restart) or rests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from riad.engine.containers.create import network_mode, shares_network_with
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container
from riad.engine.containers.start import attachment
from riad.engine.networks.model import PortBinding, PublishedPort
from riad.engine.networks.published import compare, grants
from riad.kernel.faults import conflict, invalid, not_found

_PORT = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:]+\]|[0-9.]+):)?(?P<port>[0-9]{1,5})(?:/(?P<proto>tcp|udp|sctp))?")


@dataclass(frozen=True, slots=True)
class PortChanges:
    """`remove` names ports of the host: `8080`, `8080/udp` or `127.0.0.1:8080/tcp`."""

    add: tuple[PortBinding, ...] = ()
    remove: tuple[str, ...] = ()


async def republish(engine: Engine, container: Container, changes: PortChanges) -> Container:
    """Raises NOT_FOUND for a port to remove that is not published, INTERNAL for a taken one, with nothing changed."""
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        _check(container)
        sandbox = engine.networks.inspect(container.id) if container.phase.alive else None
        wanted = planned(container, sandbox.ports if sandbox else (), changes)
        host = replace(container.settings.host, ports=wanted)
        changed = replace(container, settings=replace(container.settings, host=host))
        if sandbox is not None:
            await engine.networks.republish(container.id, attachment(engine, changed).ports)
        container = engine.registry.change(container, settings=changed.settings)
        engine.announce(container, "update")
        return container


def _check(container: Container) -> None:
    host = container.settings.host
    if shares_network_with(host):
        raise conflict(f"container {container.name} shares the network of another: publish the ports of that one")
    if network_mode(host) in ("host", "none"):
        raise conflict(f"container {container.name} has the network {host.network_mode}: there is nothing to publish")


def planned(container: Container, given: Sequence[PublishedPort], changes: PortChanges) -> tuple[PortBinding, ...]:
    """The container's wishes after `changes`; `given`: what is published now. Pure."""
    wanted = list(container.settings.host.ports)
    for text in changes.remove:
        gone = [wish for wish in wanted if _is_meant(text, wish, given)]
        if not gone:
            raise not_found(f"container {container.name} publishes no port {text}")
        wanted = [wish for wish in wanted if wish not in gone]
    for wish in changes.add:
        if wish in wanted and wish.host_port:
            raise conflict(f"container {container.name} publishes {wish.host_port} already")
        wanted.append(wish)
    return tuple(wanted)


def _is_meant(text: str, wish: PortBinding, given: Sequence[PublishedPort]) -> bool:
    found = _PORT.fullmatch(text)
    if found is None:
        raise invalid(f"invalid port to remove {text!r}: expected HOSTPORT, HOSTPORT/udp or ADDRESS:HOSTPORT")
    host, proto = (found["host"] or "").strip("[]"), found["proto"]
    if proto and proto != wish.proto:
        return False
    if host and host != (wish.host_ip or "0.0.0.0"):  # noqa: S104 -- what no address means
        return False
    number = int(found["port"])
    if wish.host_port and not wish.host_port_end:
        return wish.host_port == number
    chosen = [port for port in given if port.host_port == number and grants(port, wish)]
    return bool(chosen) and not compare([wish], chosen).missing
