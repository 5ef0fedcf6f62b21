"""Limits: memory, processors, processes, block devices, ulimits."""

from __future__ import annotations

from typing import TypedDict

from riad.engine.containers.spec import DEFAULT_SHM_SIZE, DeviceValue, Limit, Resources
from riad.engine.dockerapi.create_body.fields import AT, Json, objects
from riad.kernel.faults import invalid, unsupported
from riad.oci.fields import field

CHANGEABLE = frozenset(
    [
        "BlkioWeight",
        "CpuPercent",
        "CpuPeriod",
        "CpuQuota",
        "CpuRealtimePeriod",
        "CpuRealtimeRuntime",
        "CpuShares",
        "CpusetCpus",
        "CpusetMems",
        "IOMaximumBandwidth",
        "IOMaximumIOps",
        "KernelMemory",
        "KernelMemoryTCP",
        "Memory",
        "MemoryReservation",
        "MemorySwap",
        "NanoCPUs",
        "NanoCpus",
        "PidsLimit",
    ]
)
"""What `update` may change of a container that is there."""

FIELDS = CHANGEABLE | frozenset(
    [
        "BlkioDeviceReadBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceWriteIOps",
        "BlkioWeightDevice",
        "CgroupParent",
        "MemorySwappiness",
        "OomKillDisable",
        "OomScoreAdj",
        "ShmSize",
        "Ulimits",
    ]
)
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


class Limits(TypedDict):
    """Members of `HostSettings`."""

    resources: Resources
    nano_cpus: int
    ulimits: tuple[Limit, ...]
    cgroup_parent: str
    oom_score_adj: int
    shm_size: int


def _shm_size(body: Json) -> int:
    size = field(body, "ShmSize", int, 0, at=AT)
    if size < 0:
        raise invalid("SHM size can not be less than 0")
    return size


def read_limits(body: Json) -> Limits:
    """All of them, also those that are not the group's. Raises INVALID with Docker's sentences."""
    return Limits(
        resources=read_resources(body),
        nano_cpus=read_nano_cpus(body),
        ulimits=tuple(_ulimit(item, f"{AT}Ulimits/{index}/") for index, item in objects(body, "Ulimits")),
        cgroup_parent=field(body, "CgroupParent", str, "", at=AT),
        oom_score_adj=_oom_score(body),
        shm_size=_shm_size(body) or DEFAULT_SHM_SIZE,
    )


def read_nano_cpus(body: Json) -> int:
    """Billionths of a processor; the API's description and its clients do not agree on the name."""
    return field(body, "NanoCpus", int, 0, at=AT) or field(body, "NanoCPUs", int, 0, at=AT)


def read_resources(body: Json, *, update: bool = False) -> Resources:
    """The limits as asked; `limits.settle` judges them. With `update`, pids of 0 or less take that limit away."""

    def number(name: str) -> int | None:
        return field(body, name, int, 0, at=AT) or None

    if number("IOMaximumBandwidth") or number("IOMaximumIOps"):
        raise invalid("Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")
    if body.get("KernelMemoryTCP"):
        raise unsupported(f"{AT}KernelMemoryTCP: the kernel has no such limit any more")
    swappiness = None if body.get("MemorySwappiness") is None else field(body, "MemorySwappiness", int, 0, at=AT)
    return Resources(
        memory=number("Memory"),
        memory_swap=number("MemorySwap"),
        memory_reservation=number("MemoryReservation"),
        swappiness=None if swappiness == -1 else swappiness,
        oom_kill_disable=None if body.get("OomKillDisable") is None else field(body, "OomKillDisable", bool, False),
        kernel_memory=number("KernelMemory") or 0,
        cpu_shares=number("CpuShares"),
        cpu_quota=number("CpuQuota"),
        cpu_period=number("CpuPeriod"),
        cpu_percent=number("CpuPercent") or 0,
        realtime_period=number("CpuRealtimePeriod"),
        realtime_runtime=number("CpuRealtimeRuntime"),
        cpuset_cpus=field(body, "CpusetCpus", str, "", at=AT),
        cpuset_mems=field(body, "CpusetMems", str, "", at=AT),
        pids=_pids(body, update=update),
        blkio_weight=number("BlkioWeight"),
        blkio_weight_devices=_devices(body, "BlkioWeightDevice", "Weight"),
        read_bps=_devices(body, "BlkioDeviceReadBps", "Rate"),
        write_bps=_devices(body, "BlkioDeviceWriteBps", "Rate"),
        read_iops=_devices(body, "BlkioDeviceReadIOps", "Rate"),
        write_iops=_devices(body, "BlkioDeviceWriteIOps", "Rate"),
    )


def _pids(body: Json, *, update: bool) -> int | None:
    if body.get("PidsLimit") is None:
        return None
    asked = field(body, "PidsLimit", int, 0, at=AT)
    if asked > 0:
        return asked
    return -1 if update else None


def _devices(body: Json, name: str, member: str) -> tuple[DeviceValue, ...]:
    found = []
    for index, item in objects(body, name):
        at = f"{AT}{name}/{index}/"
        path = field(item, "Path", str, "", at=at)
        if not path:
            raise invalid(f"{at}Path: the path of a block device is missing")
        found.append(DeviceValue(path, field(item, member, int, 0, at=at)))
    return tuple(found)


def _oom_score(body: Json) -> int:
    asked = field(body, "OomScoreAdj", int, 0, at=AT)
    if not -1000 <= asked <= 1000:
        raise invalid(f"Invalid value {asked}, range for oom score adj is [-1000, 1000]")
    return asked


def _ulimit(body: Json, at: str) -> Limit:
    name = field(body, "Name", str, "", at=at)
    if name not in _ULIMITS:
        raise invalid(f"invalid ulimit type: {name}")
    soft, hard = field(body, "Soft", int, 0, at=at), field(body, "Hard", int, 0, at=at)
    if hard != -1 and (soft > hard or soft == -1):
        raise invalid(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return Limit("RLIMIT_" + name.upper(), soft, hard)
