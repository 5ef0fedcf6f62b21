"""What the full and the short form of a container have in common."""

from __future__ import annotations

from collections.abc import Mapping

from riad.engine.containers.engine import Engine
from riad.engine.containers.health_record import Health
from riad.engine.containers.model import Container, MountPoint, Phase
from riad.engine.containers.mounting import clean_target
from riad.engine.dockerapi.network_shapes import endpoint_shape
from riad.engine.dockerapi.wire import Shape
from riad.engine.networks.model import Sandbox
from riad.kernel.faults import Fault


def docker_status(phase: Phase) -> str:
    """Docker's word for the phase."""
    return {Phase.STARTING: "created"}.get(phase, phase.value)


def health_of(engine: Engine, container: Container) -> Health | None:
    """What its health check has found; None where it has none or never ran."""
    found = engine.registry.companion(container.id).health
    return found if isinstance(found, Health) else None


def mount_shapes(container: Container) -> list[Shape]:
    """All but those of `--tmpfs`, which are shown where they were asked for."""
    elsewhere = {clean_target(path) for path in container.settings.host.tmpfs}
    return [mount_shape(m) for m in container.mounts if not (m.kind == "tmpfs" and m.target in elsewhere)]


def mount_shape(mount: MountPoint) -> Shape:
    shape: Shape = {"Type": mount.kind}
    if mount.volume:
        shape["Name"] = mount.volume
    shape |= {"Source": mount.source, "Destination": mount.target}
    if mount.driver:
        shape["Driver"] = mount.driver
    return shape | {"Mode": mount.mode, "RW": not mount.read_only, "Propagation": mount.propagation}


def endpoint_shapes(engine: Engine, container: Container, sandbox: Sandbox | None) -> Mapping[str, Shape]:
    """By network, those that are still there."""
    found: dict[str, Shape] = {}
    for name, wish in container.settings.networks.items():
        try:
            network = engine.networks.get(name)
        except Fault:
            continue  # removed since
        endpoint = sandbox.endpoints.get(network.name) if sandbox else None
        names = list(dict.fromkeys([container.name, *wish.aliases, container.id[:12]]))
        found[network.name] = endpoint_shape(network, endpoint, wish, names=names)
    return found
