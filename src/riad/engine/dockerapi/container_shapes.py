"""Containers as the API shows them: `inspect`, and the short form of `ps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from riad.engine.containers import rootfs
from riad.engine.containers.create import network_mode
from riad.engine.containers.engine import Engine
from riad.engine.containers.health import STARTING, Health
from riad.engine.containers.model import Container, HostSettings, MountPoint, MountWish, Phase
from riad.engine.containers.spec import MASKED_PATHS, READONLY_PATHS
from riad.engine.dockerapi.networks import endpoint_shape
from riad.engine.dockerapi.wire import Shape, moment
from riad.engine.networks.model import PortBinding, Sandbox
from riad.kernel.faults import Fault
from riad.oci.config import Healthcheck


def docker_status(phase: Phase) -> str:
    """Docker's word for the phase."""
    return {Phase.STARTING: "created"}.get(phase, phase.value)


def inspect_shape(engine: Engine, container: Container, execs: Sequence[str]) -> Shape:
    settings = container.settings
    command = container.command
    folder = engine.paths.folder(container.id)
    return {
        "Id": container.id,
        "Created": moment(container.created),
        "Path": command[0] if command else "",
        "Args": list(command[1:]),
        "State": _state(engine, container),
        "Image": container.image_id,
        "ResolvConfPath": str(folder / "resolv.conf"),
        "HostnamePath": str(folder / "hostname"),
        "HostsPath": str(folder / "hosts"),
        "LogPath": str(engine.paths.log(container.id)) if settings.host.log.driver != "none" else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(execs) or None,
        "HostConfig": host_shape(settings.host),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "UpperDir": str(folder / "diff"),
                "WorkDir": str(folder / "work"),
                "MergedDir": str(folder / "root"),
            },
        },
        "Mounts": [mount_shape(mount) for mount in container.mounts],
        "Config": config_shape(container),
        "NetworkSettings": network_settings(engine, container),
    }


def health_of(engine: Engine, container: Container) -> Health | None:
    """What its health check has found; None where it has none or never ran."""
    found = engine.registry.companion(container.id).health
    return found if isinstance(found, Health) else None


def _health(health: Health) -> Shape:
    return {
        "Status": health.verdict.status,
        "FailingStreak": health.verdict.streak,
        "Log": [
            {"Start": moment(p.began), "End": moment(p.ended), "ExitCode": p.code, "Output": p.output}
            for p in health.log
        ],
    }


def _state(engine: Engine, container: Container) -> Shape:
    run, phase = container.run, container.phase
    health = health_of(engine, container)
    return {
        **({"Health": _health(health)} if health else {}),
        "Status": docker_status(phase),
        "Running": phase in (Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING),
        "Paused": phase is Phase.PAUSED,
        "Restarting": phase is Phase.RESTARTING,
        "OOMKilled": run.oom_killed,
        "Dead": False,
        "Pid": run.pid if phase in (Phase.RUNNING, Phase.PAUSED) else 0,
        "ExitCode": run.exit_code,
        "Error": run.error,
        "StartedAt": moment(run.started_at),
        "FinishedAt": moment(run.finished_at),
    }


def config_shape(container: Container) -> Shape:
    settings, config = container.settings, container.settings.config
    shape: Shape = {
        "Hostname": settings.hostname,
        "Domainname": settings.domainname,
        "User": config.user,
        "AttachStdin": settings.attach_stdin,
        "AttachStdout": settings.attach_stdout,
        "AttachStderr": settings.attach_stderr,
        "Tty": settings.tty,
        "OpenStdin": settings.open_stdin,
        "StdinOnce": settings.stdin_once,
        "Env": list(config.env),
        "Cmd": None if config.cmd is None else list(config.cmd),
        "Image": settings.image,
        "Volumes": {path: {} for path in sorted(config.volumes)} or None,
        "WorkingDir": config.working_dir,
        "Entrypoint": None if config.entrypoint is None else list(config.entrypoint),
        "OnBuild": None,
        "Labels": dict(config.labels),
    }
    if config.exposed_ports or settings.host.ports:
        published = {f"{port.container_port}/{port.proto}" for port in settings.host.ports}
        shape["ExposedPorts"] = {port: {} for port in sorted(config.exposed_ports | published)}
    if config.healthcheck:
        shape["Healthcheck"] = _health_shape(config.healthcheck)
    if config.stop_signal:
        shape["StopSignal"] = config.stop_signal
    if config.stop_timeout is not None:
        shape["StopTimeout"] = config.stop_timeout
    if config.shell:
        shape["Shell"] = list(config.shell)
    return shape


def _health_shape(health: Healthcheck) -> Shape:
    return health.to_json()


def host_shape(host: HostSettings) -> Shape:
    limits = host.resources
    return {
        "Binds": list(host.binds) or None,
        "ContainerIDFile": host.container_id_file,
        "LogConfig": {"Type": host.log.driver, "Config": dict(host.log.options)},
        "NetworkMode": network_mode(host),
        "PortBindings": _bindings(host.ports),
        "RestartPolicy": {"Name": host.restart.name, "MaximumRetryCount": host.restart.maximum},
        "AutoRemove": host.auto_remove,
        "VolumeDriver": host.volume_driver,
        "VolumesFrom": list(host.volumes_from) or None,
        "ConsoleSize": list(host.console_size) or [0, 0],
        **({"Annotations": dict(host.annotations)} if host.annotations else {}),
        **({"Mounts": [_mount_wish(mount) for mount in host.mounts]} if host.mounts else {}),
        **({"Tmpfs": dict(host.tmpfs)} if host.tmpfs else {}),
        **({"Sysctls": dict(host.sysctls)} if host.sysctls else {}),
        "CapAdd": list(host.cap_add) or None,
        "CapDrop": list(host.cap_drop) or None,
        "CgroupnsMode": host.cgroupns_mode or "host",
        "Dns": list(host.dns),
        "DnsOptions": list(host.dns_options),
        "DnsSearch": list(host.dns_search),
        "ExtraHosts": list(host.extra_hosts) or None,
        "GroupAdd": list(host.group_add) or None,
        "IpcMode": host.ipc_mode or "private",
        "Cgroup": "",
        "Links": None,
        "OomScoreAdj": host.oom_score_adj,
        "PidMode": host.pid_mode,
        "Privileged": host.privileged,
        "PublishAllPorts": host.publish_all,
        "ReadonlyRootfs": host.read_only,
        "SecurityOpt": list(host.security) or None,
        "UTSMode": host.uts_mode,
        "UsernsMode": host.userns_mode,
        "ShmSize": host.shm_size,
        "Runtime": host.runtime or "runc",
        "Isolation": "",
        "CpuShares": limits.cpu_shares or 0,
        "Memory": limits.memory or 0,
        "NanoCpus": host.nano_cpus,
        "CgroupParent": host.cgroup_parent,
        "BlkioWeight": limits.blkio_weight or 0,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuPeriod": limits.cpu_period or 0,
        "CpuQuota": limits.cpu_quota or 0,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": limits.cpuset_cpus,
        "CpusetMems": limits.cpuset_mems,
        "Devices": [
            {"PathOnHost": d.host_path, "PathInContainer": d.path, "CgroupPermissions": d.access} for d in host.devices
        ],
        "DeviceCgroupRules": list(host.device_rules) or None,
        "DeviceRequests": None,
        "MemoryReservation": limits.memory_reservation or 0,
        "MemorySwap": limits.memory_swap or 0,
        "MemorySwappiness": limits.swappiness,
        "OomKillDisable": limits.oom_kill_disable or None,
        "PidsLimit": limits.pids,
        "Ulimits": [
            {"Name": limit.name.removeprefix("RLIMIT_").lower(), "Hard": limit.hard, "Soft": limit.soft}
            for limit in host.ulimits
        ],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "MaskedPaths": list(MASKED_PATHS if host.masked_paths is None else host.masked_paths),
        "ReadonlyPaths": list(READONLY_PATHS if host.readonly_paths is None else host.readonly_paths),
        **({"Init": True} if host.init else {}),
    }


def _bindings(ports: Sequence[PortBinding]) -> Shape:
    found: dict[str, list[Shape]] = {}
    for port in ports:
        text = "" if not port.host_port else str(port.host_port)
        if port.host_port_end:
            text += f"-{port.host_port_end}"
        found.setdefault(f"{port.container_port}/{port.proto}", []).append({"HostIp": port.host_ip, "HostPort": text})
    return found


def _mount_wish(mount: MountWish) -> Shape:
    shape: Shape = {"Type": mount.kind, "Target": mount.target}
    if mount.source:
        shape["Source"] = mount.source
    if mount.read_only:
        shape["ReadOnly"] = True
    if mount.kind == "bind" and (mount.propagation or mount.create_source):
        shape["BindOptions"] = {
            **({"Propagation": mount.propagation} if mount.propagation else {}),
            **({"CreateMountpoint": True} if mount.create_source else {}),
        }
    if mount.kind == "volume" and (mount.no_copy or mount.labels):
        shape["VolumeOptions"] = {"NoCopy": mount.no_copy, "Labels": dict(mount.labels)}
    return shape


def mount_shape(mount: MountPoint) -> Shape:
    shape: Shape = {"Type": mount.kind}
    if mount.volume:
        shape["Name"] = mount.volume
    shape |= {"Source": mount.source, "Destination": mount.target}
    if mount.driver:
        shape["Driver"] = mount.driver
    return shape | {"Mode": mount.mode, "RW": not mount.read_only, "Propagation": mount.propagation}


def network_settings(engine: Engine, container: Container) -> Shape:
    sandbox = engine.networks.inspect(container.id) if container.phase.alive else None
    networks = _endpoints(engine, container, sandbox)
    first = next(iter(networks.values()), {}) if network_mode(container.settings.host) == "bridge" else {}
    return {
        "Bridge": "",
        "SandboxID": container.id if sandbox else "",
        "SandboxKey": str(sandbox.netns) if sandbox and sandbox.netns else "",
        "Ports": _port_map(container, sandbox),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": first.get("EndpointID", ""),
        "Gateway": first.get("Gateway", ""),
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": first.get("IPAddress", ""),
        "IPPrefixLen": first.get("IPPrefixLen", 0),
        "IPv6Gateway": "",
        "MacAddress": first.get("MacAddress", ""),
        "Networks": networks,
    }


def _endpoints(engine: Engine, container: Container, sandbox: Sandbox | None) -> Mapping[str, Shape]:
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


def _port_map(container: Container, sandbox: Sandbox | None) -> Shape:
    if sandbox is None:
        return {}
    found: dict[str, list[Shape] | None] = dict.fromkeys(sorted(container.settings.config.exposed_ports))
    for port in sandbox.ports:
        entries = found.get(f"{port.container_port}/{port.proto}") or []
        entries.append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
        found[f"{port.container_port}/{port.proto}"] = entries
    return found


def list_shape(engine: Engine, container: Container, *, now: datetime) -> Shape:
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.settings.image,
        "ImageID": container.image_id,
        "Command": " ".join(_quoted(word) for word in container.command),
        "Created": int(container.created.timestamp()),
        "Ports": _ports(engine, container),
        "Labels": dict(container.labels),
        "State": docker_status(container.phase),
        "Status": status_text(container, health_of(engine, container), now=now),
        "HostConfig": {"NetworkMode": network_mode(container.settings.host)},
        "NetworkSettings": {
            "Networks": _endpoints(
                engine, container, engine.networks.inspect(container.id) if container.phase.alive else None
            )
        },
        "Mounts": [mount_shape(mount) for mount in container.mounts],
    }


def _quoted(word: str) -> str:
    return f"'{word}'" if any(char in word for char in " \t\n") else word


def _ports(engine: Engine, container: Container) -> list[Shape]:
    sandbox = engine.networks.inspect(container.id) if container.phase.alive else None
    if sandbox is None:
        return []
    found: list[Shape] = [
        {"IP": p.host_ip, "PrivatePort": p.container_port, "PublicPort": p.host_port, "Type": p.proto}
        for p in sandbox.ports
    ]
    published = {f"{port.container_port}/{port.proto}" for port in sandbox.ports}
    for text in sorted(container.settings.config.exposed_ports - published):
        number, _, proto = text.partition("/")
        if number.isdigit():
            found.append({"PrivatePort": int(number), "Type": proto or "tcp"})
    return found


def status_text(container: Container, health: Health | None = None, *, now: datetime) -> str:
    """`Up 3 seconds`, `Exited (0) 2 minutes ago`, as `docker ps` prints it."""
    run = container.run
    match container.phase:
        case Phase.RUNNING | Phase.PAUSED:
            since = human_duration((now - (run.started_at or now)).total_seconds())
            if container.phase is Phase.PAUSED:
                return f"Up {since} (Paused)"
            verdict = health.verdict.status if health else ""
            return f"Up {since}" + (f" ({'health: ' * (verdict == STARTING)}{verdict})" if verdict else "")
        case Phase.RESTARTING:
            return f"Restarting ({run.exit_code}) {_ago(run.finished_at, now)}"
        case Phase.EXITED:
            return f"Exited ({run.exit_code}) {_ago(run.finished_at, now)}"
        case Phase.REMOVING:
            return "Removal In Progress"
        case Phase.CREATED | Phase.STARTING:
            return "Created"


def _ago(at: datetime | None, now: datetime) -> str:
    return f"{human_duration((now - (at or now)).total_seconds())} ago"


def human_duration(seconds: float) -> str:
    """
    >>> human_duration(0.5), human_duration(90), human_duration(7200), human_duration(86400 * 15)
    ('Less than a second', 'About a minute', '2 hours', '2 weeks')
    """
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = round(seconds / 3600)
    if hours == 1:
        return "About an hour"
    for limit, size, unit in (
        (48, 1, "hours"),
        (24 * 14, 24, "days"),
        (24 * 60, 168, "weeks"),
        (24 * 730, 720, "months"),
    ):
        if hours < limit:
            return f"{hours // size} {unit}"
    return f"{hours // 8760} years"


def sizes(engine: Engine, container: Container) -> Shape:
    """Bytes of the container's own files, and of those with the image's. Slow: call it in a thread."""
    own = rootfs.size(engine, container.id)
    return {"SizeRw": own, "SizeRootFs": own}
