"""The engine's parts list: what is built from what, top to bottom, and the order of starting and stopping.

Restarting the daemon touches no container: they are held by conmon, their networks are in the kernel. The order on
start: who lives (`survey`) → networks agree with that → ended, half-started and half-removed containers are finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import hashlib
import os
import shutil
import signal
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from riad.engine.access.addresses import Address, Guard, TcpAddress, TlsFiles, UnixAddress, parse_all
from riad.engine.access.browsers import programs_only
from riad.engine.build.bases import Bases
from riad.engine.build.cache import Cache
from riad.engine.build.run import RuntimeCommands
from riad.engine.build.solve import Builder
from riad.engine.build.solve import Parts as BuildParts
from riad.engine.buildkit.daemon import BuildKit
from riad.engine.containers import capabilities, recover, remap, spec
from riad.engine.containers.archive.copy import Copier
from riad.engine.containers.connect import Connector
from riad.engine.containers.engine import Engine, Paths
from riad.engine.containers.exec import Executions
from riad.engine.containers.registry import Registry
from riad.engine.containers.stats import Sampler
from riad.engine.containers.store import ContainerStore
from riad.engine.dockerapi import (
    absent,
    archive,
    auth,
    build,
    build_prune,
    buildkit,
    commit,
    container_changes,
    container_files,
    container_logs,
    container_stats,
    container_streams,
    container_update,
    containers,
    disk_usage,
    distribution,
    events,
    image_transfer,
    images,
    metrics,
    networks,
    published_ports,
    repair,
    system,
    volumes,
)
from riad.engine.dockerapi import (
    exec as exec_routes,
)
from riad.engine.dockerapi.app import build_app
from riad.engine.dockerapi.prune_events import announced
from riad.engine.dockerapi.timed import timed
from riad.engine.events import Events
from riad.engine.host import abilities, apparmor, cgroups, conmon, facts, pidfd, runc
from riad.engine.images.disk import LayerDisk
from riad.engine.images.local import Images
from riad.engine.images.model import ImageUser
from riad.engine.images.pull import Puller, Suggest, no_suggestion
from riad.engine.images.push import Pusher
from riad.engine.images.registry.places import RegistryOptions, parse_mirror
from riad.engine.metrics.collect import Metrics
from riad.engine.networks.flags import NetworkFlags
from riad.engine.networks.model import Network
from riad.engine.networks.networks import Networks
from riad.engine.repair.known import Places
from riad.engine.state import State
from riad.engine.volumes.volumes import Volumes
from riad.kernel import logs
from riad.kernel.clock import SystemClock
from riad.kernel.faults import conflict, denied
from riad.oci.digest import Digest
from riad.oci.platform import host_platform

if TYPE_CHECKING:
    from riad.engine.access.tls import Front

_log = logs.named("engine")
_GROUP = "docker"
_THREADS = 64
"""Made as they are needed. Python's own few would soon all wait for one slow disk."""
_LARGEST_HEAD = 2**20
"""As Go's servers: build arguments come in the query, credentials of many registries in one header."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """As the flags of `riad engine`; hosts are unix://PATH."""

    data_root: Path = Path("/var/lib/riad/engine")
    exec_root: Path = Path("/run/riad/engine")
    hosts: tuple[str, ...] = ("unix:///run/riad/engine.sock",)
    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    network: NetworkFlags = field(default_factory=NetworkFlags)
    userns_remap: str = ""
    group: str = _GROUP
    metrics_address: str = ""
    guard: Guard = field(default_factory=Guard)

    @property
    def instance(self) -> str:
        """Names what the engine puts into the kernel, apart from other engines on this host."""
        return hashlib.sha256(os.fsencode(self.data_root.resolve())).hexdigest()[:8]


@dataclass(slots=True)
class Daemon:
    """The parts that have a life of their own, and the application over all."""

    config: EngineConfig
    state: State
    engine: Engine
    networks: Networks
    volumes: Volumes
    builder: Builder
    buildkit: BuildKit
    events: Events
    metrics: Metrics
    app: web.Application
    runner: web.AppRunner | None = None
    sockets: list[Path] = field(default_factory=list)
    fronts: list[Front] = field(default_factory=list)
    metrics_runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Finds containers again and listens. Raises CONFLICT where another engine listens already."""
        for folder in self.engine.paths.private:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        store_boot = ContainerStore(self.state).swap_boot(facts.boot_id())
        if self.engine.remap is not None:
            remap.open_way(self.config.data_root)
            await asyncio.to_thread(remap.open_namespace, self.engine.remap)
        found = recover.survey(self.engine)
        await self.volumes.recover()
        await self.networks.recover({container.id for container in found.live})
        await self.builder.recover()
        self.buildkit.recover()
        await recover.resume(self.engine, found, rebooted=not store_boot)
        self.runner = web.AppRunner(
            self.app,
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=0.3,
            max_line_size=_LARGEST_HEAD,
            max_field_size=_LARGEST_HEAD,
        )
        await self.runner.setup()
        for address in parse_all(self.config.hosts, self.config.guard):
            await self._listen(address)
        if self.config.metrics_address:
            self.metrics_runner = await metrics.serve(self.metrics, self.config.metrics_address)
        _log.info("engine listens", extra=logs.fields(hosts=" ".join(self.config.hosts), root=self.config.data_root))

    async def _listen(self, address: Address) -> None:
        if isinstance(address, UnixAddress):
            await self._listen_locally(address.path)
        elif address.tls is not None:
            await self._listen_with_tls(address, address.tls)
        else:
            assert self.runner is not None
            try:
                await web.TCPSite(self.runner, address.host, address.port).start()
            except OSError as error:
                raise conflict(f"--host tcp://{address.host}:{address.port}: {error.strerror or error}") from None

    async def _listen_with_tls(self, address: TcpAddress, files: TlsFiles) -> None:
        from riad.engine.access import tls  # costs ten milliseconds, which most daemons need not pay

        assert self.runner is not None
        server, loop = self.runner.server, asyncio.get_running_loop()
        assert server is not None
        front = tls.Front(address, tls.context(files), lambda local: loop.connect_accepted_socket(server, local))
        await front.start()
        self.fronts.append(front)

    async def _listen_locally(self, path: Path) -> None:
        assert self.runner is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        await _clear_stale(path)
        before = os.umask(0o117)
        try:
            await web.UnixSite(self.runner, str(path)).start()
        finally:
            os.umask(before)
        self.sockets.append(path)
        with contextlib.suppress(KeyError, PermissionError):
            os.chown(path, 0, grp.getgrnam(self.config.group).gr_gid)

    async def close(self) -> None:
        """Ends the daemon; containers go on."""
        for front in self.fronts:
            await front.close()
        for runner in (self.runner, self.metrics_runner):
            if runner is not None:
                await runner.cleanup()
        for path in self.sockets:
            path.unlink(missing_ok=True)
        for task in list(self.engine.tasks):
            task.cancel()
        await asyncio.gather(*self.engine.tasks, return_exceptions=True)
        await self.engine.keeper.close()
        if self.engine.remap is not None and not any(c.phase.alive for c in self.engine.registry):
            remap.close_namespace(self.engine.remap)
        self.engine.oom.close()
        await self.networks.close()
        cgroups.remove(self.engine.cgroup_parent)  # stays while containers run in it
        self.events.write()
        self.state.close()


async def _clear_stale(path: Path) -> None:
    """Removes the socket of an engine that is gone. Raises CONFLICT where one answers, or a file is in the way."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise conflict(f"{path} exists and is not a socket; choose another --host")
    except FileNotFoundError:
        return
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        path.unlink(missing_ok=True)
        return
    writer.close()
    raise conflict(f"another engine listens on {path}; stop it or choose another --host")


def assemble(config: EngineConfig, *, suggest: Suggest = no_suggestion) -> Daemon:
    """Builds every part; `suggest` says how an image that is nowhere may be made.

    Raises CONFLICT where another engine has the data root, UNAVAILABLE for programs that are missing.
    """
    clock = SystemClock()
    settings = config.network.settings(config.instance, config.exec_root)
    runtime = runc.detect(config.exec_root / "runtime", seal=True)
    builds_runtime = replace(runtime, root=config.exec_root / "runtime-builds")
    conmon_program = conmon.find()
    registries = RegistryOptions(tuple(map(parse_mirror, config.mirrors)), config.insecure)
    data = config.data_root
    state = State(data)
    happenings = Events(clock, state)
    bounding = capabilities.bounding_set()
    host = spec.Host(
        arch=facts.architecture(),
        kernel=facts.kernel(),
        cgroup_v2=cgroups.layout() is cgroups.Layout.V2,
        hard_limits=facts.hard_limits(),
        apparmor=apparmor.supported(),
        oom_score_adj=facts.oom_score_adj(),
    )
    registry = Registry(ContainerStore(state))
    remapping = remap.find(config.userns_remap, folder=config.exec_root, kernel=host.kernel)

    def image_users(image: Digest) -> tuple[ImageUser, ...]:
        return tuple(ImageUser(c.id, c.phase.alive) for c in registry if c.image_id == image)

    def volume_users(name: str) -> list[str]:
        return [c.id for c in registry if any(mount.volume == name for mount in c.mounts)]

    def network_happened(action: str, network: Network, container: str | None) -> None:
        attributes = {"name": network.name, "type": network.driver.value}
        happenings.publish("network", action, network.id, attributes | ({"container": container} if container else {}))

    def image_happened(action: str, subject: str, attributes: Mapping[str, str]) -> None:
        image = image_store.find(subject) if subject else None  # gone already where it is deleted
        happenings.publish("image", action, subject, {**(image.config.config.labels if image else {}), **attributes})

    def volume_happened(action: str, name: str, attributes: Mapping[str, str]) -> None:
        happenings.publish("volume", action, name, attributes)

    image_store = Images(state, data, clock=clock, users=image_users, announce=image_happened)
    volume_store = Volumes(state, data / "volumes", clock=clock, users=volume_users, announce=volume_happened)
    nets = Networks(state, settings, clock=clock, announce=network_happened)
    engine = Engine(
        registry=registry,
        runtime=runtime,
        conmon=conmon_program,
        host=host,
        bounding=bounding,
        paths=Paths(data, config.exec_root),
        images=image_store,
        networks=nets,
        volumes=volume_store,
        publish=happenings.publish,
        clock=clock,
        cgroup_parent=f"/riad-{config.instance}",
        remap=remapping,
        init_program=_init_program(),
        swap_limits=cgroups.counts_swap(),
        abilities=abilities.abilities(),
    )
    puller = Puller(image_store, registries, suggest=suggest)
    cache = Cache(state, image_store.layers, clock=clock)
    commands = RuntimeCommands(
        builds_runtime,
        nets,
        host=host,
        capabilities=capabilities.effective(bounding=bounding),
        bounding=capabilities.effective(bounding=bounding, privileged=True),
        cgroup=f"/riad-{config.instance}/{recover.BUILDS}",
        moves=engine.moves,
    )
    bases = Bases(image_store, puller, host=host_platform())
    builder = Builder(BuildParts(image_store, bases, cache, commands, data / "build", clock))
    pusher = Pusher(image_store, registries)
    buildkit_parts = BuildKit(builder, cache, puller, pusher, clock=clock, name=f"riad-{config.instance}")
    executions = Executions()
    about = system.About(f"riad-{config.instance}", data, config.mirrors, config.insecure)
    measured = Metrics(engine, happenings)
    disk = disk_usage.Disk(engine, LayerDisk(image_store.layers), cache, builder)
    routes: Sequence[web.RouteDef] = [
        *system.routes(engine=engine, events=happenings, about=about),
        *metrics.routes(metrics=measured),
        *disk_usage.routes(disk=disk),
        *build_prune.routes(disk=disk, clock=clock),
        *events.routes(events=happenings, clock=clock),
        *containers.routes(engine=engine, executions=executions),
        *container_streams.routes(engine=engine),
        *container_logs.routes(engine=engine),
        *container_files.routes(engine=engine),
        *container_update.routes(engine=engine),
        *container_changes.routes(engine=engine),
        *container_stats.routes(engine=engine, sampler=Sampler(engine)),
        *exec_routes.routes(engine=engine, executions=executions),
        *archive.routes(copier=Copier(engine)),
        *images.routes(images=image_store),
        *image_transfer.routes(images=image_store, puller=puller, pusher=pusher),
        *commit.routes(engine=engine),
        *distribution.routes(options=registries),
        *auth.routes(options=registries),
        *build.routes(builder=builder),
        *buildkit.routes(buildkit=buildkit_parts),
        *networks.routes(networks=nets, containers=Connector(engine), clock=clock),
        *published_ports.routes(networks=nets),
        *volumes.routes(volumes=volume_store),
        *absent.routes(engine=engine),
        *repair.routes(state=state, places=Places(data, config.exec_root, config.instance)),
    ]
    app = build_app(timed(announced(routes, happenings.publish), measured.timings))
    if config.guard.insecure_loopback:
        app.middlewares.insert(1, programs_only)  # inside of the one that answers faults
    return Daemon(config, state, engine, nets, volume_store, builder, buildkit_parts, happenings, measured, app)


def _init_program() -> str | None:
    return shutil.which("catatonit") or shutil.which("tini-static")


async def serve(config: EngineConfig, *, suggest: Suggest = no_suggestion) -> None:
    """Runs the engine until SIGTERM or SIGINT."""
    if os.geteuid() != 0:
        raise denied("the container engine needs root: sudo riad engine")
    parse_all(config.hosts, config.guard)
    pidfd.become_subreaper()
    config.exec_root.mkdir(parents=True, exist_ok=True, mode=0o711)
    daemon = assemble(config, suggest=suggest)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        await daemon.start()
        await stopping.wait()
        _log.info("engine stops; containers go on")
    finally:
        await daemon.close()


def run(config: EngineConfig, *, suggest: Suggest = no_suggestion) -> None:
    """`serve` on an event loop of its own, that waits for processes by descriptor instead of by a thread each."""
    watcher = asyncio.PidfdChildWatcher()
    asyncio.set_child_watcher(watcher)
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="work"))
        watcher.attach_loop(loop)
        runner.run(serve(config, suggest=suggest))
