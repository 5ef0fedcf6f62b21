"""Starting: intention, then root filesystem, network, process, then the fact. What fails half-way is taken back.

Order matters: the network exists before the runtime enters it; clients that attached before the start hold their
sockets before the process runs, so that they see its first byte; process numbers are written before it runs, so that a
daemon killed in between finds it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace

from riad.engine.containers import bundle, exits, health, held, links, logging, rootfs, sources, spec, user
from riad.engine.containers.blockdevices import numbered
from riad.engine.containers.create import network_mode, shares_network_with
from riad.engine.containers.engine import Engine
from riad.engine.containers.logs.options import bounds
from riad.engine.containers.model import Container, Phase, Run
from riad.engine.containers.registry import settle
from riad.engine.host import answering, apparmor, cdi, conmon, devices, facts
from riad.engine.networks.model import Attachment, NameWishes, PortBinding
from riad.kernel.faults import Fault, Kind, conflict


async def start(engine: Engine, container: Container) -> bool:
    """Starts a container that does not run. False where it runs already. Raises what keeps it from running."""
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        if container.phase in (Phase.RUNNING, Phase.STARTING):
            return False
        if container.phase is Phase.PAUSED:
            raise conflict("cannot start a paused container, try unpause instead")
        if container.phase is Phase.REMOVING:
            raise conflict("container is marked for removal and cannot be started")
        exits.cancel_restart(engine, container)
        await begin(engine, replace(container, restart_count=0))
        return True


async def begin(engine: Engine, container: Container) -> Container:
    """Starts it; the caller holds its lock. Raises, with the container back at rest, where it does not work."""
    engine.moves.hasten()
    companion = engine.registry.companion(container.id)
    await exits.settled(engine, container)
    companion.unhealthy = False
    never_ran = container.run.started_at is None
    started = engine.registry.change(
        container, phase=Phase.STARTING, run=Run(), stopped_by_user=False, restart_count=container.restart_count
    )
    try:
        launched = await _launch(engine, started)
        started = engine.registry.change(started, run=launched)
        _announce_volumes(engine, started)
        _connect_waiting(engine, started)
        await engine.runtime.start(started.id, started.run.pid, hooked=_has_late_hooks(engine, started))
    except BaseException as error:
        await exits.clean_up(engine, started)
        fault = error if isinstance(error, Fault) else Fault(Kind.INTERNAL, f"start was interrupted: {error!r}")
        _failed(engine, started, fault, never_ran=never_ran)
        raise
    started = engine.registry.change(
        started, phase=Phase.RUNNING, run=replace(started.run, started_at=engine.clock.now())
    )
    companion.process_gone.clear()
    exits.watch(engine, started)
    health.watch(engine, started)
    engine.announce(started, "start")
    for follower in links.followers(engine, started):
        write_names(engine, follower)  # its address may be another one than before
    return started


def _announce_volumes(engine: Engine, container: Container) -> None:
    for mount in container.mounts:
        if mount.volume:
            attributes = {
                "driver": mount.driver,
                "container": container.id,
                "destination": mount.target,
                "read/write": str(not mount.read_only).lower(),
                "propagation": mount.propagation,
            }
            engine.publish("volume", "mount", mount.volume, attributes)


def _has_late_hooks(engine: Engine, container: Container) -> bool:
    return '"poststart"' in (engine.paths.bundle(container.id) / "config.json").read_text()


def _failed(engine: Engine, container: Container, fault: Fault, *, never_ran: bool) -> None:
    code = _exit_code(fault.message)
    container = engine.registry.change(
        container,
        phase=Phase.CREATED if never_ran else Phase.EXITED,
        run=Run(exit_code=code, error=fault.message, finished_at=None if never_ran else engine.clock.now()),
    )
    companion = engine.registry.companion(container.id)
    settle(companion.attaching, None)
    settle(companion.ended, code)
    if container.settings.host.auto_remove:
        exits.remove_soon(engine, container)


def _exit_code(message: str) -> int:
    """As a shell: 127 not found, 126 not executable, 128 anything else."""
    if "executable file not found" in message or "no such file or directory" in message:
        return 127
    return 126 if "permission denied" in message or "is a directory" in message else 128


async def _launch(engine: Engine, container: Container) -> Run:
    folder = engine.paths.bundle(container.id)
    folder.mkdir(parents=True, exist_ok=True)
    engine.paths.exits.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (engine.paths.exits / container.id).unlink()
    root = rootfs.mount(engine, container)
    links.check(engine, container)
    remap = engine.remapped(container)
    joined = await _join(engine, container)
    if remap is not None:
        joined["user"] = str(remap.namespace)
    await answering.check([mount.source for mount in container.mounts if mount.kind == "bind"])
    mounts = await sources.settle(engine, container, root)
    host = container.settings.host
    edits = cdi.find(host.cdi_devices)
    around = bundle.Surroundings(
        root=str(root),
        group=engine.group(container),
        account=user.account_in(root, container.settings.config.user, host.group_add),
        joined=joined,
        files=_files(engine, container),
        bounding=engine.bounding,
        mounts=mounts,
        remap=remap,
        devices=_devices(container, edits),
        edits=edits,
        init_program=engine.init_program,
        swap_limits=engine.swap_limits,
        shm=_shared_memory(engine, container),
        links=tuple(links.environment(engine, container)),
    )
    if bundle.apparmor(host, engine.host) == apparmor.DEFAULT:
        await asyncio.to_thread(apparmor.load_default)
    text = json.dumps(spec.runtime_spec(bundle.bundle(numbered(container), around, engine.host), engine.host))
    (folder / "config.json").write_text(text)
    await logging.check(container)
    try:
        launched = await conmon.launch(engine.conmon, engine.runtime, _launch_wish(engine, container))
    except Fault as fault:
        raise Fault(
            Kind.INVALID if _exit_code(fault.message) in (126, 127) else fault.kind,
            "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            f"{fault.message}: unknown",
        ) from None
    ticks = facts.start_ticks(launched.conmon_pid)
    if ticks is None:
        raise Fault(Kind.INTERNAL, "conmon ended before the container was started")
    return Run(pid=launched.pid, conmon_pid=launched.conmon_pid, conmon_ticks=ticks)


def _launch_wish(engine: Engine, container: Container) -> conmon.Launch:
    settings = container.settings
    return conmon.Launch(
        container=container.id,
        bundle=engine.paths.bundle(container.id),
        exits=engine.paths.exits,
        log=None if settings.host.log.driver == "none" else engine.paths.log(container.id),
        log_limit=bounds(settings.host.log.driver, settings.host.log.options).while_away,
        terminal=settings.tty,
        stdin=settings.open_stdin,
        leave_stdin_open=settings.open_stdin and (settings.tty or not settings.stdin_once),
    )


def _connect_waiting(engine: Engine, container: Container) -> None:
    companion = engine.registry.companion(container.id)
    while companion.attaching:
        waiting = companion.attaching.pop()
        if not waiting.done():
            waiting.set_result(conmon.attach(engine.paths.bundle(container.id)))


def _devices(container: Container, edits: cdi.Edits) -> tuple[devices.Node, ...]:
    host = container.settings.host
    found = [node for wish in host.devices for node in devices.nodes(wish.host_path, wish.path, wish.access)]
    if host.privileged:
        found += devices.everything()
    return (*found, *edits.nodes)


async def _join(engine: Engine, container: Container) -> dict[str, str]:
    """The namespaces shared with the host or another container; the container's own network is prepared here."""
    host = container.settings.host
    joined = {
        kind: place
        for kind, mode in (("pid", host.pid_mode), ("ipc", host.ipc_mode))
        if (place := _shared(engine, kind, mode))
    }
    if other := shares_network_with(host):
        owner = _running(engine, other, "join network of")
        sandbox = engine.networks.inspect(owner.id)
        joined["network"] = "host" if sandbox is None or sandbox.netns is None else str(sandbox.netns)
        return joined
    sandbox = await engine.networks.prepare(attachment(engine, container))
    joined["network"] = str(sandbox.netns) if sandbox.netns else "host"
    return joined


def attachment(engine: Engine, container: Container) -> Attachment:
    """What the container asks of the networks."""
    settings, host = container.settings, container.settings.host
    ports = list(host.ports) if network_mode(host) != "host" else []
    if host.publish_all:
        given = {(port.container_port, port.proto) for port in ports}
        exposed = [_port(text) for text in sorted(settings.config.exposed_ports)]
        ports += [PortBinding(number, proto) for number, proto in exposed if (number, proto) not in given]
    remap = engine.remapped(container)
    return Attachment(
        owner=remap.namespace if remap else None,
        container_id=container.id,
        name=container.name,
        hostname=settings.hostname,
        domain=settings.domainname,
        networks=settings.networks,
        ports=tuple(ports),
        names=NameWishes(host.dns, host.dns_search, host.dns_options, host.extra_hosts),
    )


def _port(text: str) -> tuple[int, str]:
    number, _, proto = text.partition("/")
    return int(number), proto or "tcp"


def _shared(engine: Engine, kind: str, mode: str) -> str:
    if mode == "host":
        return "host"
    word, _, other = mode.partition(":")
    if word != "container":
        return ""
    owner = _running(engine, other, f"join {kind.upper()} of")
    if kind == "ipc" and owner.settings.host.ipc_mode != "shareable":
        raise conflict(
            f"cannot join IPC of container {owner.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor"
            " container)"
        )
    return f"/proc/{owner.run.pid}/ns/{kind}"


def _shared_memory(engine: Engine, container: Container) -> str:
    """The host's folder of its /dev/shm, where it shares that; "" where the container has one of its own."""
    mode = container.settings.host.ipc_mode
    word, _, other = mode.partition(":")
    if mode == "shareable":
        remap = engine.remapped(container)
        owner = remap.mapping.root if remap else (0, 0)
        size = container.settings.host.shm_size
        return str(held.shared_memory(engine.paths.held, container.id, size, owner=owner))
    return str(engine.paths.held / other / "shm") if word == "container" else ""


def _running(engine: Engine, reference: str, purpose: str) -> Container:
    other = engine.registry.find(reference)
    if other.phase is not Phase.RUNNING:
        raise conflict(f"cannot {purpose} a non running container: {other.id}")
    return other


def _files(engine: Engine, container: Container) -> dict[str, str]:
    """Where the container's own /etc/hostname, /etc/hosts and /etc/resolv.conf are."""
    owner = shares_network_with(container.settings.host)
    folder = engine.paths.folder(owner or container.id)
    if not owner:
        (folder / "hostname").write_text(container.settings.hostname + "\n")
        write_names(engine, container)
    found = {"/etc/hostname": "hostname", "/etc/hosts": "hosts", "/etc/resolv.conf": "resolv.conf"}
    return {path: str(folder / name) for path, name in found.items() if (folder / name).exists()}


def write_names(engine: Engine, container: Container) -> None:
    """Writes its hosts and resolv.conf in place (they are bind mounts), as its networks now are; nothing at rest."""
    if engine.networks.inspect(container.id) is None:
        return
    folder = engine.paths.folder(container.id)
    (folder / "hosts").write_text(links.hosts(engine, container))
    (folder / "resolv.conf").write_text(engine.networks.resolv_conf(container.id))
