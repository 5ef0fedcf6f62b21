"""Reading `POST /containers/create`: every field works or is refused by name.

A field that this engine does not know or support is accepted only with the value that means "nothing asked" (null, "",
0, false, [], {}), which is what clients send for all they do not use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from riad.engine.containers.logs import log_limit
from riad.engine.containers.model import (
    DeviceWish,
    HostSettings,
    LogWish,
    MountWish,
    RestartPolicy,
    Settings,
)
from riad.engine.containers.spec import DEFAULT_SHM_SIZE, Limit, Resources
from riad.engine.networks.model import EndpointWish, PortBinding, binding
from riad.kernel.faults import invalid, unsupported
from riad.oci.config import container_config_from_json
from riad.oci.fields import field, text_map, texts

Json = Mapping[str, Any]
_AT = "HostConfig/"
_MINIMUM_MEMORY = 6 * 2**20

_CONFIG = frozenset(
    [
        "Hostname",
        "Domainname",
        "User",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "ExposedPorts",
        "Tty",
        "OpenStdin",
        "StdinOnce",
        "Env",
        "Cmd",
        "Healthcheck",
        "ArgsEscaped",
        "Image",
        "Volumes",
        "WorkingDir",
        "Entrypoint",
        "OnBuild",
        "Labels",
        "StopSignal",
        "StopTimeout",
        "Shell",
        "HostConfig",
        "NetworkingConfig",
        "MacAddress",
        "Name",
        "Platform",
    ]
)
_HOST = frozenset(
    [
        "Binds",
        "Mounts",
        "Tmpfs",
        "VolumesFrom",
        "VolumeDriver",
        "NetworkMode",
        "PortBindings",
        "PublishAllPorts",
        "RestartPolicy",
        "AutoRemove",
        "CapAdd",
        "CapDrop",
        "CgroupnsMode",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "ExtraHosts",
        "GroupAdd",
        "IpcMode",
        "PidMode",
        "UTSMode",
        "UsernsMode",
        "OomScoreAdj",
        "Privileged",
        "ReadonlyRootfs",
        "SecurityOpt",
        "ShmSize",
        "Sysctls",
        "MaskedPaths",
        "ReadonlyPaths",
        "Init",
        "LogConfig",
        "Runtime",
        "ContainerIDFile",
        "ConsoleSize",
        "Annotations",
        "Isolation",
        "CgroupParent",
        "Devices",
        "DeviceCgroupRules",
        "Ulimits",
        "NanoCpus",
        "NanoCPUs",
        "Memory",
        "MemorySwap",
        "MemoryReservation",
        "MemorySwappiness",
        "OomKillDisable",
        "CpuShares",
        "CpuQuota",
        "CpuPeriod",
        "CpusetCpus",
        "CpusetMems",
        "PidsLimit",
        "BlkioWeight",
        "KernelMemory",
        "KernelMemoryTCP",
    ]
)
_LOG_OPTIONS: Mapping[str, frozenset[str]] = {
    "json-file": frozenset({"max-size"}),
    "local": frozenset({"max-size"}),
    "none": frozenset(),
}


def read_settings(body: Json) -> Settings:
    """Raises INVALID naming the path of what is wrong, UNSUPPORTED naming the field that this engine lacks."""
    _refuse_unknown(body, _CONFIG, "")
    image = field(body, "Image", str, "")
    if not image:
        raise invalid("Config/Image: no image was named")
    host_body: dict[str, Any] = field(body, "HostConfig", dict, {})
    host = _host(host_body)
    return Settings(
        image=image,
        config=container_config_from_json(body),
        host=host,
        hostname=field(body, "Hostname", str, ""),
        domainname=field(body, "Domainname", str, ""),
        tty=field(body, "Tty", bool, False),
        open_stdin=field(body, "OpenStdin", bool, False),
        stdin_once=field(body, "StdinOnce", bool, False),
        attach_stdin=field(body, "AttachStdin", bool, False),
        attach_stdout=field(body, "AttachStdout", bool, False),
        attach_stderr=field(body, "AttachStderr", bool, False),
        networks=_networks(body, host.network_mode),
    )


def _refuse_unknown(source: Json, known: frozenset[str], at: str) -> None:
    for name, value in source.items():
        if name not in known and value not in (None, "", 0, False, [], {}) and value != -1:
            raise unsupported(f"{at}{name} is not supported by this engine")


def _host(body: dict[str, Any]) -> HostSettings:
    _refuse_unknown(body, _HOST, _AT)
    if field(body, "UsernsMode", str, "", at=_AT) not in ("", "host"):
        raise unsupported(f"{_AT}UsernsMode: user namespaces are not supported by this engine; only host")
    if field(body, "Isolation", str, "", at=_AT) not in ("", "default"):
        raise invalid(f"{_AT}Isolation: {body['Isolation']} is for Windows")
    if field(body, "Runtime", str, "", at=_AT) not in ("", "runc", "crun"):
        raise invalid(f"unknown or invalid runtime name: {body['Runtime']}")
    if field(body, "VolumeDriver", str, "", at=_AT) not in ("", "local"):
        raise invalid(
            f'error looking up volume plugin {body["VolumeDriver"]}: plugin "{body["VolumeDriver"]}" not found'
        )
    return HostSettings(
        binds=texts(body, "Binds", at=_AT),
        mounts=tuple(_mount(item, f"{_AT}Mounts/{index}/") for index, item in _objects(body, "Mounts")),
        tmpfs=text_map(body, "Tmpfs", at=_AT),
        volumes_from=texts(body, "VolumesFrom", at=_AT),
        network_mode=field(body, "NetworkMode", str, "", at=_AT) or "default",
        ports=tuple(_ports(body)),
        publish_all=field(body, "PublishAllPorts", bool, False, at=_AT),
        restart=read_restart(field(body, "RestartPolicy", dict, {}, at=_AT)),
        auto_remove=field(body, "AutoRemove", bool, False, at=_AT),
        cap_add=texts(body, "CapAdd", at=_AT),
        cap_drop=texts(body, "CapDrop", at=_AT),
        cgroupns_mode=_one_of(body, "CgroupnsMode", ("", "host", "private")),
        dns=texts(body, "Dns", at=_AT),
        dns_options=texts(body, "DnsOptions", at=_AT),
        dns_search=texts(body, "DnsSearch", at=_AT),
        extra_hosts=texts(body, "ExtraHosts", at=_AT),
        group_add=texts(body, "GroupAdd", at=_AT),
        ipc_mode=field(body, "IpcMode", str, "", at=_AT),
        pid_mode=field(body, "PidMode", str, "", at=_AT),
        uts_mode=field(body, "UTSMode", str, "", at=_AT),
        userns_mode=field(body, "UsernsMode", str, "", at=_AT),
        oom_score_adj=_within(body, "OomScoreAdj", -1000, 1000),
        privileged=field(body, "Privileged", bool, False, at=_AT),
        read_only=field(body, "ReadonlyRootfs", bool, False, at=_AT),
        security=texts(body, "SecurityOpt", at=_AT),
        shm_size=_positive(body, "ShmSize") or DEFAULT_SHM_SIZE,
        sysctls=text_map(body, "Sysctls", at=_AT),
        masked_paths=None if body.get("MaskedPaths") is None else texts(body, "MaskedPaths", at=_AT),
        readonly_paths=None if body.get("ReadonlyPaths") is None else texts(body, "ReadonlyPaths", at=_AT),
        init=field(body, "Init", bool, False, at=_AT),
        log=_log(field(body, "LogConfig", dict, {}, at=_AT)),
        runtime=field(body, "Runtime", str, "", at=_AT),
        container_id_file=field(body, "ContainerIDFile", str, "", at=_AT),
        console_size=_console_size(body),
        annotations=text_map(body, "Annotations", at=_AT),
        resources=read_resources(body),
        nano_cpus=_positive(body, "NanoCpus") or _positive(body, "NanoCPUs"),
        ulimits=tuple(_ulimit(item, f"{_AT}Ulimits/{index}/") for index, item in _objects(body, "Ulimits")),
        devices=tuple(_device(item, f"{_AT}Devices/{index}/") for index, item in _objects(body, "Devices")),
        device_rules=texts(body, "DeviceCgroupRules", at=_AT),
        cgroup_parent=field(body, "CgroupParent", str, "", at=_AT),
    )


def _objects(body: Json, name: str) -> list[tuple[int, dict[str, Any]]]:
    items: list[Any] = field(body, name, list, [], at=_AT)
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise invalid(f"{_AT}{name}/{index}: expected an object")
    return list(enumerate(items))


def _positive(body: Json, name: str) -> int:
    value = field(body, name, int, 0, at=_AT)
    if value < 0:
        raise invalid(f"{_AT}{name}: {value} is negative")
    return value


def _within(body: Json, name: str, low: int, high: int) -> int:
    value = field(body, name, int, 0, at=_AT)
    if not low <= value <= high:
        raise invalid(f"Invalid value {value}, range for {name} is [{low}, {high}]")
    return value


def _one_of(body: Json, name: str, known: tuple[str, ...]) -> str:
    value = field(body, name, str, "", at=_AT)
    if value not in known:
        raise invalid(f"{_AT}{name}: invalid mode {value!r}, expected one of {', '.join(filter(None, known))}")
    return value


def _console_size(body: Json) -> tuple[int, ...]:
    size: list[Any] = field(body, "ConsoleSize", list, [], at=_AT)
    if len(size) not in (0, 2) or not all(isinstance(number, int) and number >= 0 for number in size):
        raise invalid(f"{_AT}ConsoleSize: expected [height, width]")
    return tuple(size) if any(size) else ()


def read_restart(body: Json) -> RestartPolicy:
    """Raises INVALID with Docker's sentences."""
    name = field(body, "Name", str, "", at=_AT + "RestartPolicy/") or "no"
    maximum = field(body, "MaximumRetryCount", int, 0, at=_AT + "RestartPolicy/")
    if name not in ("no", "always", "unless-stopped", "on-failure"):
        raise invalid(
            f"invalid restart policy: unknown policy '{name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if maximum and name != "on-failure":
        raise invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if maximum < 0:
        raise invalid("invalid restart policy: maximum retry count cannot be negative")
    return RestartPolicy(name, maximum)


def _log(body: Json) -> LogWish:
    driver = field(body, "Type", str, "", at=_AT + "LogConfig/") or "json-file"
    options = text_map(body, "Config", at=_AT + "LogConfig/")
    if driver not in _LOG_OPTIONS:
        raise invalid(
            f"logger: no log driver named '{driver}' is registered; this engine has json-file, local and none"
        )
    for option in options:
        if option not in _LOG_OPTIONS[driver]:
            raise unsupported(f"log option '{option}' of driver {driver} is not supported by this engine")
    if "max-size" in options:
        log_limit(options["max-size"])
    return LogWish(driver, options)


def read_resources(body: Json) -> Resources:
    """The limits. Raises INVALID with Docker's sentences."""
    memory, swap = _positive(body, "Memory"), field(body, "MemorySwap", int, 0, at=_AT)
    reservation = _positive(body, "MemoryReservation")
    if memory and memory < _MINIMUM_MEMORY:
        raise invalid("Minimum memory limit allowed is 6MB")
    if swap > 0 and not memory:
        raise invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
    if memory and 0 < swap < memory:
        raise invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory and reservation > memory:
        raise invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
    if body.get("KernelMemory") or body.get("KernelMemoryTCP"):
        raise unsupported(f"{_AT}KernelMemory: the kernel has no such limit any more")
    swappiness = body.get("MemorySwappiness")
    if swappiness not in (None, -1) and not (isinstance(swappiness, int) and 0 <= swappiness <= 100):
        raise invalid(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    nano, quota, period = (
        _positive(body, "NanoCpus"),
        field(body, "CpuQuota", int, 0, at=_AT),
        _positive(body, "CpuPeriod"),
    )
    if nano and (quota or period):
        raise invalid("Conflicting options: Nano CPUs and CPU Quota or Period cannot both be set")
    if period and not 1000 <= period <= 1_000_000:
        raise invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    pids = field(body, "PidsLimit", int, 0, at=_AT)
    return Resources(
        memory=memory or None,
        memory_swap=swap or None,
        memory_reservation=reservation or None,
        swappiness=None if swappiness == -1 else swappiness,
        oom_kill_disable=field(body, "OomKillDisable", bool, False, at=_AT),
        cpu_shares=_positive(body, "CpuShares") or None,
        cpu_quota=quota or None,
        cpu_period=period or None,
        cpuset_cpus=field(body, "CpusetCpus", str, "", at=_AT),
        cpuset_mems=field(body, "CpusetMems", str, "", at=_AT),
        pids=pids if pids > 0 else None,
        blkio_weight=_within(body, "BlkioWeight", 0, 1000) or None,
    )


def _ulimit(body: Json, at: str) -> Limit:
    name = field(body, "Name", str, "", at=at)
    if name not in _ULIMITS:
        raise invalid(f"invalid ulimit type: {name}")
    soft, hard = field(body, "Soft", int, 0, at=at), field(body, "Hard", int, 0, at=at)
    if hard != -1 and (soft > hard or soft == -1):
        raise invalid(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return Limit("RLIMIT_" + name.upper(), soft, hard)


_ULIMITS = frozenset(
    [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
        "as",
    ]
)


def _device(body: Json, at: str) -> DeviceWish:
    host = field(body, "PathOnHost", str, "", at=at)
    return DeviceWish(
        host,
        field(body, "PathInContainer", str, "", at=at) or host,
        field(body, "CgroupPermissions", str, "", at=at) or "rwm",
    )


def _ports(body: Json) -> list[PortBinding]:
    bindings: dict[str, Any] = field(body, "PortBindings", dict, {}, at=_AT)
    found = []
    for text, hosts in bindings.items():
        number, _, proto = text.partition("/")
        if not number.isdigit():
            raise invalid(f"invalid port specification: {text!r}: expected PORT/tcp or PORT/udp")
        for host in hosts or [{}]:
            if not isinstance(host, dict):
                raise invalid(f"{_AT}PortBindings/{text}: expected a list of objects")
            ip, port = field(host, "HostIp", str, ""), field(host, "HostPort", str, "")
            if ":" in ip and len(hosts) > 1:
                continue  # clients publish on 0.0.0.0 and :: at once; the first is enough where there is no IPv6
            found.append(binding(int(number), proto or "tcp", host_ip=ip, host_port=port))
    return found


_Reader = Callable[[Json, str], MountWish]


@dataclass(frozen=True, slots=True)
class _Kind:
    """The members a mount of one kind may have beside Type, Source, Target and ReadOnly."""

    members: frozenset[str]
    read: _Reader


def _mount(body: dict[str, Any], at: str) -> MountWish:
    kind = field(body, "Type", str, "", at=at) or "volume"
    if kind not in _KINDS:
        raise invalid(f'invalid mount config for type "{kind}": mount type unknown: "{kind}"')
    known = {"Type", "Source", "Target", "ReadOnly", "Consistency"} | _KINDS[kind].members
    _refuse_unknown(body, frozenset(known), at)
    if not field(body, "Target", str, "", at=at):
        raise invalid(f'invalid mount config for type "{kind}": field Target must not be empty')
    return _KINDS[kind].read(body, at)


def _bind_mount(body: Json, at: str) -> MountWish:
    source = field(body, "Source", str, "", at=at)
    if not source.startswith("/"):
        raise invalid(
            f"invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute"
        )
    options: dict[str, Any] = field(body, "BindOptions", dict, {}, at=at)
    _refuse_unknown(options, frozenset({"Propagation", "CreateMountpoint", "NonRecursive"}), f"{at}BindOptions/")
    if options.get("NonRecursive"):
        raise unsupported(f"{at}BindOptions/NonRecursive is not supported by this engine")
    propagation = field(options, "Propagation", str, "", at=at)
    if propagation not in ("", "private", "rprivate", "shared", "rshared", "slave", "rslave"):
        raise invalid(f'invalid mount config for type "bind": invalid propagation: {propagation}')
    return MountWish(
        "bind",
        body["Target"],
        source,
        read_only=field(body, "ReadOnly", bool, False, at=at),
        propagation=propagation,
        create_source=field(options, "CreateMountpoint", bool, False, at=at),
    )


def _volume_mount(body: Json, at: str) -> MountWish:
    options: dict[str, Any] = field(body, "VolumeOptions", dict, {}, at=at)
    _refuse_unknown(options, frozenset({"NoCopy", "Labels", "DriverConfig"}), f"{at}VolumeOptions/")
    driver: dict[str, Any] = field(options, "DriverConfig", dict, {}, at=at)
    return MountWish(
        "volume",
        body["Target"],
        field(body, "Source", str, "", at=at),
        read_only=field(body, "ReadOnly", bool, False, at=at),
        no_copy=field(options, "NoCopy", bool, False, at=at),
        driver=field(driver, "Name", str, "", at=at),
        driver_options=text_map(driver, "Options", at=at),
        labels=text_map(options, "Labels", at=at),
    )


def _tmpfs_mount(body: Json, at: str) -> MountWish:
    if body.get("Source"):
        raise invalid('invalid mount config for type "tmpfs": field Source must not be specified')
    options: dict[str, Any] = field(body, "TmpfsOptions", dict, {}, at=at)
    _refuse_unknown(options, frozenset({"SizeBytes", "Mode"}), f"{at}TmpfsOptions/")
    size, mode = field(options, "SizeBytes", int, 0, at=at), field(options, "Mode", int, 0, at=at)
    texts_ = [f"size={size}"] if size else []
    texts_ += [f"mode={mode:o}"] if mode else []
    return MountWish(
        "tmpfs", body["Target"], read_only=field(body, "ReadOnly", bool, False, at=at), options=tuple(texts_)
    )


_KINDS: Mapping[str, _Kind] = {
    "bind": _Kind(frozenset({"BindOptions"}), _bind_mount),
    "volume": _Kind(frozenset({"VolumeOptions"}), _volume_mount),
    "tmpfs": _Kind(frozenset({"TmpfsOptions"}), _tmpfs_mount),
}


def _networks(body: Json, mode: str) -> dict[str, EndpointWish]:
    wishes: dict[str, Any] = field(field(body, "NetworkingConfig", dict, {}), "EndpointsConfig", dict, {})
    mac = field(body, "MacAddress", str, "")
    found = {name: read_endpoint(wish or {}, f"NetworkingConfig/{name}/") for name, wish in wishes.items()}
    if mac:
        before = found.get(mode, EndpointWish())
        found[mode] = EndpointWish(before.aliases, before.ipv4, before.mac or mac)
    return found


def read_endpoint(body: Json, at: str) -> EndpointWish:
    """One member of EndpointsConfig; what the engine itself fills in (ids, addresses given) is passed over."""
    if not isinstance(body, dict):
        raise invalid(f"{at}: expected an object")
    for name in ("Links", "DriverOpts"):
        if body.get(name):
            raise unsupported(f"{at}{name} is not supported by this engine")
    ipam: dict[str, Any] = field(body, "IPAMConfig", dict, {}, at=at)
    for name in ("IPv6Address", "LinkLocalIPs"):
        if ipam.get(name):
            raise unsupported(f"{at}IPAMConfig/{name} is not supported by this engine")
    return EndpointWish(
        aliases=texts(body, "Aliases", at=at),
        ipv4=field(ipam, "IPv4Address", str, "", at=at),
        mac=field(body, "MacAddress", str, "", at=at),
    )
