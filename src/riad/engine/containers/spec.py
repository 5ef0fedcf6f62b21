"""The OCI runtime specification (`config.json`) of a container, as a pure function of what is wanted and of the host.

Containers and the RUN steps of builds both come through here. Sections are those of opencontainers/runtime-spec 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from riad.engine.containers import seccomp
from riad.engine.containers.capabilities import DEFAULT
from riad.engine.host.idmap import IdMap, Range

Json = dict[str, Any]
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHM_SIZE = 64 * 2**20

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Host:
    """What the specification depends on beyond the container: gathered once, when the daemon starts."""

    arch: str = "amd64"
    kernel: tuple[int, int] = (5, 10)
    cgroup_v2: bool = True
    hard_limits: Mapping[str, int] = field(default_factory=dict)
    """RLIMIT_* → the hard limit of this process, which may not be exceeded without CAP_SYS_RESOURCE."""
    apparmor: bool = False
    """The kernel confines by AppArmor profiles."""
    oom_score_adj: int = 0
    """This process's own; a container gets another only when it was asked for."""


@dataclass(frozen=True, slots=True)
class User:
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    umask: int | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """`name` as RLIMIT_NOFILE; -1 is unlimited."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Process:
    args: tuple[str, ...]
    env: tuple[str, ...] = (DEFAULT_PATH,)
    cwd: str = "/"
    user: User = User()
    terminal: bool = False
    console_size: tuple[int, int] | None = None
    """height, width"""
    capabilities: tuple[str, ...] = tuple(sorted(DEFAULT))
    no_new_privileges: bool = False
    limits: tuple[Limit, ...] = ()
    oom_score_adj: int | None = None
    apparmor: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    destination: str
    source: str
    kind: str = "bind"
    options: tuple[str, ...] = ("rbind", "rprivate")


@dataclass(frozen=True, slots=True)
class Device:
    """A device node that is made in the container, and what may be done with it (`rwm`)."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o666
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """Access to devices without making nodes; None is any number."""

    kind: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class DeviceValue:
    """A limit of one block device: a weight, or bytes or requests per second. The start finds the device's numbers."""

    path: str
    value: int
    major: int = 0
    minor: int = 0


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits in bytes, microseconds and counts; None is no limit, -1 (swap, pids) is unlimited on purpose."""

    memory: int | None = None
    memory_swap: int | None = None
    """Memory and swap together, as Docker counts."""
    memory_reservation: int | None = None
    swappiness: int | None = None
    oom_kill_disable: bool | None = None
    kernel_memory: int = 0
    """Only ever asked for: no kernel has this limit any more."""
    cpu_shares: int | None = None
    cpu_quota: int | None = None
    cpu_period: int | None = None
    cpu_percent: int = 0
    """Only ever asked for: it is for Windows."""
    realtime_period: int | None = None
    realtime_runtime: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int | None = None
    blkio_weight: int | None = None
    blkio_weight_devices: tuple[DeviceValue, ...] = ()
    read_bps: tuple[DeviceValue, ...] = ()
    write_bps: tuple[DeviceValue, ...] = ()
    read_iops: tuple[DeviceValue, ...] = ()
    write_iops: tuple[DeviceValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that one container's specification says.

    `namespaces` maps pid, ipc, uts, network, mount, cgroup, user to "" (a new one) or to the path of one to join; a
    kind that is absent is shared with the host. `seccomp` is "default", "unconfined" or a profile in the
    specification's form.
    """

    root: str
    process: Process
    namespaces: Mapping[str, str]
    cgroup: str
    hostname: str = ""
    domainname: str = ""
    read_only: bool = False
    mounts: tuple[Mount, ...] = ()
    shm_size: int = DEFAULT_SHM_SIZE
    resources: Resources = Resources()
    devices: tuple[Device, ...] = ()
    device_rules: tuple[DeviceRule, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS
    seccomp: str | Json = "default"
    privileged: bool = False
    propagation: str = "rprivate"
    hooks: tuple[tuple[str, Json], ...] = ()
    """When (prestart, createRuntime …) and what the runtime runs."""
    id_map: IdMap | None = None
    """Of the user namespace in `namespaces`."""
    writable_cgroups: bool = False
    shm: bool = True
    """Has a /dev/shm."""


def runtime_spec(bundle: Bundle, host: Host) -> Json:
    """`config.json` as an object."""
    return {
        "ociVersion": "1.0.2",
        "process": process_spec(bundle.process, host),
        "root": {"path": bundle.root, "readonly": bundle.read_only},
        **({"hostname": bundle.hostname} if bundle.hostname and "uts" in bundle.namespaces else {}),
        "mounts": [_mount(mount) for mount in _all_mounts(bundle)],
        "linux": _linux(bundle, host),
        **({"hooks": _hooks(bundle)} if bundle.hooks else {}),
    }


def _hooks(bundle: Bundle) -> Json:
    found: dict[str, list[Json]] = {}
    for when, hook in bundle.hooks:
        found.setdefault(when, []).append(hook)
    return found


def process_spec(process: Process, host: Host) -> Json:
    """`process`, which is also what the runtime's exec is given."""
    user: Json = {"uid": process.user.uid, "gid": process.user.gid}
    if process.user.groups:
        user["additionalGids"] = list(process.user.groups)
    if process.user.umask is not None:
        user["umask"] = process.user.umask
    shape: Json = {
        "terminal": process.terminal,
        "user": user,
        "args": list(process.args),
        "env": list(process.env),
        "cwd": process.cwd,
        "capabilities": _capabilities(process),
        "noNewPrivileges": process.no_new_privileges,
    }
    if process.terminal and process.console_size:
        shape["consoleSize"] = {"height": process.console_size[0], "width": process.console_size[1]}
    if process.limits:
        shape["rlimits"] = [_limit(limit, host) for limit in process.limits]
    if process.apparmor:
        shape["apparmorProfile"] = process.apparmor
    if process.oom_score_adj is not None and process.oom_score_adj != host.oom_score_adj:
        shape["oomScoreAdj"] = process.oom_score_adj
    return shape


def _capabilities(process: Process) -> Json:
    """As Docker: a user other than root holds none, but programs with file capabilities may gain what is bounded."""
    names = list(process.capabilities)
    held = names if process.user.uid == 0 else []
    return {"bounding": names, "effective": held, "permitted": held}


def _limit(limit: Limit, host: Host) -> Json:
    ceiling = host.hard_limits.get(limit.name, -1)
    hard, soft = _lower(limit.hard, ceiling), _lower(limit.soft, ceiling)
    return {"type": limit.name, "hard": _unsigned(hard), "soft": _unsigned(_lower(soft, hard))}


def _lower(wanted: int, ceiling: int) -> int:
    if ceiling == -1:
        return wanted
    return ceiling if wanted == -1 else min(wanted, ceiling)


def _unsigned(value: int) -> int:
    return value if value >= 0 else 2**64 - 1


def _all_mounts(bundle: Bundle) -> list[Mount]:
    """The standard ones, except where the user mounts something else there, and parents before what is inside them."""
    wanted = {mount.destination for mount in bundle.mounts}
    standard = [mount for mount in _standard_mounts(bundle) if mount.destination not in wanted]
    return standard + sorted(bundle.mounts, key=lambda mount: mount.destination.rstrip("/").count("/"))


def _standard_mounts(bundle: Bundle) -> list[Mount]:
    shm = ("nosuid", "noexec", "nodev", "mode=1777", f"size={bundle.shm_size}")
    rights = "rw" if bundle.privileged else "ro"
    own_network = "network" in bundle.namespaces
    sysfs = (
        Mount("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", rights))
        if own_network or bundle.privileged
        else Mount("/sys", "/sys", "bind", ("rbind", "nosuid", "noexec", "nodev", rights))
    )
    return [
        Mount("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
        Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount(
            "/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
        ),
        sysfs,
        Mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            ("rw" if bundle.writable_cgroups else rights, "nosuid", "noexec", "nodev", "relatime"),
        ),
        *([Mount("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev"))] if _new(bundle, "ipc") else []),
        *([Mount("/dev/shm", "shm", "tmpfs", shm)] if bundle.shm else []),  # noqa: S108 -- a path in the container
    ]


def _new(bundle: Bundle, kind: str) -> bool:
    return bundle.namespaces.get(kind) == ""


def _mount(mount: Mount) -> Json:
    return {
        "destination": mount.destination,
        "type": mount.kind,
        "source": mount.source,
        "options": list(mount.options),
    }


def _linux(bundle: Bundle, host: Host) -> Json:
    shape: Json = {
        "namespaces": [{"type": kind, **({"path": path} if path else {})} for kind, path in bundle.namespaces.items()],
        "cgroupsPath": bundle.cgroup,
        "resources": {**_devices_allowed(bundle), **resources_spec(bundle.resources, host)},
        "rootfsPropagation": bundle.propagation,
    }
    # The runtime's own word for it came later (runtime-spec 1.1); this name of the kernel's says the same.
    domain = {"kernel.domainname": bundle.domainname} if bundle.domainname and "uts" in bundle.namespaces else {}
    if sysctls := {**domain, **bundle.sysctls}:
        shape["sysctl"] = sysctls
    if bundle.id_map is not None:
        shape["uidMappings"] = [_id_row(row) for row in bundle.id_map.uids]
        shape["gidMappings"] = [_id_row(row) for row in bundle.id_map.gids]
    if bundle.devices:
        shape["devices"] = [_device(device) for device in bundle.devices]
    if not bundle.privileged:
        shape |= {"maskedPaths": list(bundle.masked_paths), "readonlyPaths": list(bundle.readonly_paths)}
    if isinstance(bundle.seccomp, dict):
        shape["seccomp"] = bundle.seccomp
    elif bundle.seccomp == "default" and not bundle.privileged:
        held = frozenset(bundle.process.capabilities)
        shape["seccomp"] = seccomp.profile(capabilities=held, arch=host.arch, kernel=host.kernel)
    return shape


def _id_row(row: Range) -> Json:
    return {"containerID": row.inside, "hostID": row.outside, "size": row.count}


def _device(device: Device) -> Json:
    return {
        "path": device.path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": 0,
        "gid": 0,
    }


def _devices_allowed(bundle: Bundle) -> Json:
    """Nothing but what is named here; the runtime itself adds null, zero, full, random, urandom, tty, ptmx and pts."""
    if bundle.privileged:
        return {"devices": [{"allow": True, "access": "rwm"}]}
    rules: list[Json] = [{"allow": False, "access": "rwm"}]
    rules += [
        {"allow": True, "type": d.kind, "major": d.major, "minor": d.minor, "access": d.access} for d in bundle.devices
    ]
    for rule in bundle.device_rules:
        numbers = {"major": rule.major, "minor": rule.minor}
        rules.append(
            {"allow": True, "type": rule.kind, "access": rule.access}
            | {name: number for name, number in numbers.items() if number is not None}
        )
    return {"devices": rules}


def resources_spec(limits: Resources, host: Host) -> Json:
    """`linux.resources` without devices; what the runtime's update takes."""
    memory = {
        "limit": limits.memory,
        "swap": limits.memory_swap,
        "reservation": limits.memory_reservation,
        "swappiness": None if host.cgroup_v2 else limits.swappiness,
        "disableOOMKiller": True if limits.oom_kill_disable and not host.cgroup_v2 else None,
    }
    cpu = {
        "shares": limits.cpu_shares,
        "quota": limits.cpu_quota,
        "period": limits.cpu_period,
        "realtimePeriod": limits.realtime_period,
        "realtimeRuntime": limits.realtime_runtime,
        "cpus": limits.cpuset_cpus or None,
        "mems": limits.cpuset_mems or None,
    }
    groups: dict[str, Json] = {
        "memory": memory,
        "cpu": cpu,
        "pids": {"limit": limits.pids},
        "blockIO": _block_devices(limits),
    }
    given = {
        name: {key: value for key, value in values.items() if value is not None} for name, values in groups.items()
    }
    return {name: values for name, values in given.items() if values}


def _block_devices(limits: Resources) -> Json:
    shape: Json = {"weight": limits.blkio_weight}
    for name, member, devices in (
        ("weightDevice", "weight", limits.blkio_weight_devices),
        ("throttleReadBpsDevice", "rate", limits.read_bps),
        ("throttleWriteBpsDevice", "rate", limits.write_bps),
        ("throttleReadIOPSDevice", "rate", limits.read_iops),
        ("throttleWriteIOPSDevice", "rate", limits.write_iops),
    ):
        if devices:
            shape[name] = [{"major": d.major, "minor": d.minor, member: d.value} for d in devices]
    return shape
