"""Limits: memory, processors, processes, block devices, ulimits."""

from __future__ import annotations

from typing import TypedDict

from riad.engine.containers.spec import DEFAULT_SHM_SIZE, Limit, Resources
from riad.engine.dockerapi.create_body.fields import AT, Json, objects, positive, within
from riad.kernel.faults import invalid, unsupported
from riad.oci.fields import field

FIELDS = frozenset(
    [
        "BlkioWeight",
        "CgroupParent",
        "CpuPeriod",
        "CpuQuota",
        "CpuShares",
        "CpusetCpus",
        "CpusetMems",
        "KernelMemory",
        "KernelMemoryTCP",
        "Memory",
        "MemoryReservation",
        "MemorySwap",
        "MemorySwappiness",
        "NanoCPUs",
        "NanoCpus",
        "OomKillDisable",
        "OomScoreAdj",
        "PidsLimit",
        "ShmSize",
        "Ulimits",
    ]
)
_MINIMUM_MEMORY = 6 * 2**20
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


def read_limits(body: Json) -> Limits:
    """All of them, also those that are not the group's. Raises INVALID with Docker's sentences."""
    return Limits(
        resources=read_resources(body),
        nano_cpus=positive(body, "NanoCpus") or positive(body, "NanoCPUs"),
        ulimits=tuple(_ulimit(item, f"{AT}Ulimits/{index}/") for index, item in objects(body, "Ulimits")),
        cgroup_parent=field(body, "CgroupParent", str, "", at=AT),
        oom_score_adj=within(body, "OomScoreAdj", -1000, 1000),
        shm_size=positive(body, "ShmSize") or DEFAULT_SHM_SIZE,
    )


def read_resources(body: Json) -> Resources:
    """The limits. Raises INVALID with Docker's sentences."""
    memory, swap = positive(body, "Memory"), field(body, "MemorySwap", int, 0, at=AT)
    reservation = positive(body, "MemoryReservation")
    if memory and memory < _MINIMUM_MEMORY:
        raise invalid("Minimum memory limit allowed is 6MB")
    if swap > 0 and not memory:
        raise invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
    if memory and 0 < swap < memory:
        raise invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory and reservation > memory:
        raise invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
    if body.get("KernelMemory") or body.get("KernelMemoryTCP"):
        raise unsupported(f"{AT}KernelMemory: the kernel has no such limit any more")
    swappiness = body.get("MemorySwappiness")
    if swappiness not in (None, -1) and not (isinstance(swappiness, int) and 0 <= swappiness <= 100):
        raise invalid(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    nano, quota, period = (
        positive(body, "NanoCpus"),
        field(body, "CpuQuota", int, 0, at=AT),
        positive(body, "CpuPeriod"),
    )
    if nano and (quota or period):
        raise invalid("Conflicting options: Nano CPUs and CPU Quota or Period cannot both be set")
    if period and not 1000 <= period <= 1_000_000:
        raise invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    pids = field(body, "PidsLimit", int, 0, at=AT)
    return Resources(
        memory=memory or None,
        memory_swap=swap or None,
        memory_reservation=reservation or None,
        swappiness=None if swappiness == -1 else swappiness,
        oom_kill_disable=field(body, "OomKillDisable", bool, False, at=AT),
        cpu_shares=positive(body, "CpuShares") or None,
        cpu_quota=quota or None,
        cpu_period=period or None,
        cpuset_cpus=field(body, "CpusetCpus", str, "", at=AT),
        cpuset_mems=field(body, "CpusetMems", str, "", at=AT),
        pids=pids if pids > 0 else None,
        blkio_weight=within(body, "BlkioWeight", 0, 1000) or None,
    )


def _ulimit(body: Json, at: str) -> Limit:
    name = field(body, "Name", str, "", at=at)
    if name not in _ULIMITS:
        raise invalid(f"invalid ulimit type: {name}")
    soft, hard = field(body, "Soft", int, 0, at=at), field(body, "Hard", int, 0, at=at)
    if hard != -1 and (soft > hard or soft == -1):
        raise invalid(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return Limit("RLIMIT_" + name.upper(), soft, hard)
