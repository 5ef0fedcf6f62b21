"""Creating a container: everything is validated, then one row makes it exist; folders are made when it first starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from riad.engine.containers import bundle, capabilities, checks, limits, linking, mounting, names, remap, sources
from riad.engine.containers.engine import Engine
from riad.engine.containers.merge import merge
from riad.engine.containers.model import Container, HostSettings, MountPoint, MountWish, Settings
from riad.engine.containers.security import read_security
from riad.engine.host import answering, cdi, devices
from riad.engine.networks.files import extra_host
from riad.engine.networks.model import EndpointWish
from riad.engine.volumes.volumes import Volumes
from riad.kernel.faults import Fault, Kind, invalid, not_found
from riad.oci.platform import Platform, host_platform


@dataclass(frozen=True, slots=True)
class Created:
    container: Container
    warnings: tuple[str, ...]


async def check_answering(asked: Settings) -> None:
    """Raises UNAVAILABLE for a folder of the host that hangs whoever looks at it; call it before `create`."""
    wishes = mounting.wishes(asked.host, asked.config.volumes)
    await answering.check([wish.source for wish in wishes if wish.kind == "bind"])


def create(engine: Engine, asked: Settings, *, name: str = "", platform: Platform | None = None) -> Created:
    """Raises NOT_FOUND for an unknown image (or not of `platform`) or network, CONFLICT for a taken name, INVALID."""
    checks.check(asked)
    name = names.check_name(name) if name else names.invent_name(engine.registry.names())
    engine.registry.check_free(name)
    image = engine.images.get(asked.image)
    own = _check_platform(asked.image, image.config.platform, platform)
    container_id = names.new_id()
    engine.moves.hasten()  # most clients ask to start it next
    settings = replace(
        asked, config=merge(asked.config, image.config.config), hostname=_hostname(engine, asked, container_id)
    )
    settings = replace(settings, networks=networks_of(settings), host=_sharing(engine, settings.host, asked.networks))
    _check(engine, settings)
    settled = limits.settle(settings.host.resources, settings.host.nano_cpus, engine.abilities)
    settings = replace(settings, host=replace(settings.host, resources=settled.resources))
    wishes = mounting.wishes(settings.host, settings.config.volumes)
    for wish in wishes:
        mounting.check_source(wish)
        _check_volume(engine.volumes, wish)
    others = {text.partition(":")[0]: text for text in settings.host.volumes_from}
    inherited = mounting.inherited(
        {other: _other(engine, other) for other in others},
        settings.host.volumes_from,
        [wish.target for wish in wishes if wish.source],
    )
    replaced = {mount.target for mount in inherited}
    mounts = [mount_point(engine.volumes, wish) for wish in wishes if wish.target not in replaced]
    engine.images.layers.hold(f"container:{container_id}", image.layers)
    container = engine.registry.add(
        Container(
            id=container_id,
            name=name,
            created=engine.clock.now(),
            image_id=image.id,
            settings=settings,
            layers=image.layers,
            mounts=(*mounts, *inherited),
        )
    )
    engine.announce(container, "create")
    return Created(container, (*own, *settled.warnings, *_warnings(engine, settings.host)))


def _check_platform(name: str, found: Platform, wanted: Platform | None) -> list[str]:
    """Raises NOT_FOUND, at which clients pull the right one; warns where nobody asked and it is not the host's."""
    if wanted is not None:
        if not wanted.runs(found):
            raise not_found(
                f"image with reference {name} was found but does not match the specified platform: wanted {wanted},"
                f" actual: {found}"
            )
        return []
    host = host_platform()
    if found.architecture and not host.runs(found):
        return [
            f"The requested image's platform ({found}) does not match the detected host platform ({host}) and no"
            " specific platform was requested"
        ]
    return []


def _hostname(engine: Engine, asked: Settings, container_id: str) -> str:
    """Where the network or the name is another's, that one's."""
    if other := shares_network_with(asked.host):
        return _other(engine, other).settings.hostname
    if asked.host.uts_mode == "host" or (asked.host.network_mode == "host" and not asked.hostname):
        return socket.gethostname()
    return asked.hostname or container_id[:12]


def network_mode(host: HostSettings) -> str:
    """`default` is the default bridge."""
    return "bridge" if host.network_mode in ("", "default") else host.network_mode


def shares_network_with(host: HostSettings) -> str | None:
    """The container named by `--network container:NAME`."""
    kind, _, other = host.network_mode.partition(":")
    return other if kind == "container" else None


def networks_of(settings: Settings) -> Mapping[str, EndpointWish]:
    """The networks by name: that of the network mode first, then what else the endpoints name."""
    if shares_network_with(settings.host):
        return {}
    mode = network_mode(settings.host)
    wishes = {("bridge" if name == "default" else name): wish for name, wish in settings.networks.items()}
    return {mode: wishes.get(mode, EndpointWish()), **{name: wish for name, wish in wishes.items() if name != mode}}


def _sharing(engine: Engine, host: HostSettings, networks: Mapping[str, EndpointWish]) -> HostSettings:
    """`container:NAME` and links (also those of networks) by id, so that a rename does not break it. Raises INVALID."""

    def by_id(mode: str) -> str:
        kind, _, other = mode.partition(":")
        return f"container:{_other(engine, other).id}" if kind == "container" else mode

    links = [*host.links, *(text for wish in networks.values() for text in wish.links)]
    return replace(
        host,
        network_mode=by_id(host.network_mode),
        pid_mode=by_id(host.pid_mode),
        ipc_mode=by_id(host.ipc_mode),
        cgroupns_mode=bundle.cgroupns_mode(host, engine.host),
        links=tuple(dict.fromkeys(_link(engine, text) for text in links)),
    )


def _link(engine: Engine, text: str) -> str:
    """With the container by id, so that a rename does not break it."""
    link = linking.parse_link(text)
    try:
        other = engine.registry.find(link.target)
    except Fault as fault:
        raise invalid(f"could not get container for {link.target}: {fault.message}") from None
    return f"{other.id}:{link.alias}"


def _check(engine: Engine, settings: Settings) -> None:
    host = settings.host
    for name, wish in settings.networks.items():
        if _exists(engine, name):  # one that does not is found missing at the start, as Docker does
            engine.networks.check({name: wish})
    capabilities.effective(add=host.cap_add, drop=host.cap_drop, privileged=host.privileged)
    read_security(host.security)
    if engine.remap is not None and host.userns_mode != "host":
        remap.check(host)
    for target, text in _id_maps(settings):
        if target not in {wish.target for wish in mounting.wishes(host, settings.config.volumes)}:
            raise invalid(f"label {sources.ID_MAP}{target}: nothing is mounted there")
        remap.parse_map(text)
    for text in host.device_rules:
        bundle.parse_device_rule(text)
    for entry in host.extra_hosts:
        extra_host(entry)
    for device in host.devices:
        devices.nodes(device.host_path, device.path, device.access)
    if host.runtime not in ("", "io.containerd.runc.v2", engine.runtime.name):
        raise invalid(f"unknown or invalid runtime name: {host.runtime}; this engine runs {engine.runtime.name}")
    cdi.find(host.cdi_devices)
    if host.oom_score_adj < engine.host.oom_score_adj and "CAP_SYS_RESOURCE" not in engine.bounding:
        raise invalid(
            f"oom-score-adj {host.oom_score_adj} is below the engine's own ({engine.host.oom_score_adj}), for which it"
            " lacks CAP_SYS_RESOURCE"
        )
    if host.init and engine.init_program is None:
        raise invalid("--init needs catatonit on this host (apt-get install catatonit)")


def _id_maps(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, text in settings.config.labels.items():
        if name.startswith(sources.ID_MAP):
            yield name.removeprefix(sources.ID_MAP), text


def _exists(engine: Engine, network: str) -> bool:
    try:
        engine.networks.get(network)
    except Fault as fault:
        if fault.kind is Kind.NOT_FOUND:
            return False
        raise
    return True


def _other(engine: Engine, reference: str) -> Container:
    """A container that the new one shares with. Raises INVALID: clients take "not found" for a missing image."""
    try:
        return engine.registry.find(reference)
    except Fault as fault:
        raise invalid(fault.message) from None


def _check_volume(volumes: Volumes, wish: MountWish) -> None:
    """Before any volume is made. Raises INVALID: clients take "not found" for a missing image."""
    if wish.kind != "volume":
        return
    try:
        volumes.check(wish.source, driver=wish.driver or "local", options=wish.driver_options)
    except Fault as fault:
        raise invalid(fault.message) from None


def mount_point(volumes: Volumes, wish: MountWish) -> MountPoint:
    """Makes the volume that `wish` names, if it names one."""
    volume = None
    if wish.kind == "volume":
        volume = volumes.create(
            wish.source, driver=wish.driver or "local", options=wish.driver_options, labels=wish.labels
        )
    return mounting.settle(wish, volume)


def _warnings(engine: Engine, host: HostSettings) -> list[str]:
    found = []
    missing = set(capabilities.effective(add=host.cap_add, drop=host.cap_drop, privileged=host.privileged))
    missing -= engine.bounding
    if missing:
        found.append(f"The engine itself lacks {', '.join(sorted(missing))}: the container does not get it.")
    if host.network_mode == "host" and host.ports:
        found.append("Published ports are discarded when using host network mode")
    return found
