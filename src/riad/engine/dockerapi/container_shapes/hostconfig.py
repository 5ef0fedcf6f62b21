"""`HostConfig` as `inspect` shows it."""

from __future__ import annotations

from collections.abc import Sequence

from riad.engine.containers.create import network_mode
from riad.engine.containers.model import HostSettings, MountWish
from riad.engine.containers.spec import MASKED_PATHS, READONLY_PATHS, DeviceValue
from riad.engine.dockerapi.wire import Shape
from riad.engine.networks.model import PortBinding


def host_shape(host: HostSettings, links: Sequence[str] = ()) -> Shape:
    """`links` as `linking.shown` writes them."""
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
        "Links": list(links) or None,
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
        "BlkioWeightDevice": _device_values(limits.blkio_weight_devices, "Weight"),
        "BlkioDeviceReadBps": _device_values(limits.read_bps, "Rate"),
        "BlkioDeviceWriteBps": _device_values(limits.write_bps, "Rate"),
        "BlkioDeviceReadIOps": _device_values(limits.read_iops, "Rate"),
        "BlkioDeviceWriteIOps": _device_values(limits.write_iops, "Rate"),
        "CpuPeriod": limits.cpu_period or 0,
        "CpuQuota": limits.cpu_quota or 0,
        "CpuRealtimePeriod": limits.realtime_period or 0,
        "CpuRealtimeRuntime": limits.realtime_runtime or 0,
        "CpusetCpus": limits.cpuset_cpus,
        "CpusetMems": limits.cpuset_mems,
        "Devices": [
            {"PathOnHost": d.host_path, "PathInContainer": d.path, "CgroupPermissions": d.access} for d in host.devices
        ],
        "DeviceCgroupRules": list(host.device_rules) or None,
        "DeviceRequests": _requests(host.cdi_devices),
        "MemoryReservation": limits.memory_reservation or 0,
        "MemorySwap": limits.memory_swap or 0,
        "MemorySwappiness": limits.swappiness,
        "OomKillDisable": limits.oom_kill_disable,
        "PidsLimit": 0 if limits.pids == -1 else limits.pids,
        "Ulimits": [
            {"Name": limit.name.removeprefix("RLIMIT_").lower(), "Hard": limit.hard, "Soft": limit.soft}
            for limit in host.ulimits
        ],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
        "MaskedPaths": _paths(host, host.masked_paths, MASKED_PATHS),
        "ReadonlyPaths": _paths(host, host.readonly_paths, READONLY_PATHS),
        **({"Init": True} if host.init else {}),
    }


def _paths(host: HostSettings, given: Sequence[str] | None, default: Sequence[str]) -> list[str] | None:
    if host.privileged:
        return None
    return list(default if given is None else given)


def _device_values(devices: Sequence[DeviceValue], member: str) -> list[Shape]:
    return [{"Path": device.path, member: device.value} for device in devices]


def _requests(names: Sequence[str]) -> list[Shape] | None:
    if not names:
        return None
    return [{"Driver": "cdi", "Count": 0, "DeviceIDs": list(names), "Capabilities": None, "Options": None}]


def _bindings(ports: Sequence[PortBinding]) -> Shape:
    found: dict[str, list[Shape]] = {}
    for port in ports:
        text = "" if not port.host_port else str(port.host_port)
        if port.host_port_end:
            text += f"-{port.host_port_end}"
        found.setdefault(f"{port.container_port}/{port.proto}", []).append({"HostIp": port.host_ip, "HostPort": text})
    return found


_RECURSIONS = {"none": "NonRecursive", "writable": "ReadOnlyNonRecursive", "readonly": "ReadOnlyForceRecursive"}


def _tmpfs_options(options: Sequence[str]) -> Shape:
    given = dict(option.partition("=")[::2] for option in options)
    return {
        **({"SizeBytes": int(given["size"])} if "size" in given else {}),
        **({"Mode": int(given["mode"], 8)} if "mode" in given else {}),
        **({"Options": [[o] for o in given if o in ("exec", "noexec")]} if {"exec", "noexec"} & set(given) else {}),
    }


def _mount_wish(mount: MountWish) -> Shape:
    shape: Shape = {"Type": mount.kind, "Target": mount.target}
    if mount.source:
        shape["Source"] = mount.source
    if mount.read_only:
        shape["ReadOnly"] = True
    if mount.kind == "bind" and (mount.propagation or mount.create_source or mount.recursion):
        shape["BindOptions"] = {
            **({"Propagation": mount.propagation} if mount.propagation else {}),
            **({"CreateMountpoint": True} if mount.create_source else {}),
            **({_RECURSIONS[mount.recursion]: True} if mount.recursion else {}),
        }
    if mount.kind == "volume" and (mount.no_copy or mount.labels or mount.subpath or mount.driver):
        shape["VolumeOptions"] = {"NoCopy": mount.no_copy, "Labels": dict(mount.labels), "Subpath": mount.subpath}
        if mount.driver:
            shape["VolumeOptions"]["DriverConfig"] = {"Name": mount.driver, "Options": dict(mount.driver_options)}
    if mount.kind == "tmpfs" and mount.options:
        shape["TmpfsOptions"] = _tmpfs_options(mount.options)
    return shape
