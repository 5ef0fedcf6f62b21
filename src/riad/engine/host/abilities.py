"""Which limits this host's kernel can set: the files of its control groups tell (read once, at start).

With cgroup v2 a controller brings its files, so the controllers decide; what v2 no longer has (swappiness,
real-time groups, turning the out-of-memory killer off) is False there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from riad.engine.host import cgroups


@dataclass(frozen=True, slots=True)
class Abilities:
    """`cpus` and `mems` are those that the host has, in the kernel's list form ("0-3,5")."""

    memory: bool = True
    swap: bool = True
    reservation: bool = True
    swappiness: bool = True
    oom_kill_disable: bool = True
    cpu_shares: bool = True
    cpu_cfs: bool = True
    cpu_realtime: bool = True
    cpuset: bool = True
    pids: bool = True
    blkio_weight: bool = True
    blkio_weight_device: bool = True
    blkio_read_bps: bool = True
    blkio_write_bps: bool = True
    blkio_read_iops: bool = True
    blkio_write_iops: bool = True
    cpus: str = "0"
    mems: str = "0"
    processors: int = 1


def abilities() -> Abilities:
    """Of this host."""
    if cgroups.layout() is cgroups.Layout.V2:
        return of_v2(
            cgroups.controllers(),
            swap=cgroups.counts_swap(),
            weight=any(True for name in ("io.weight", "io.bfq.weight") for _ in cgroups.ROOT.glob(f"*/{name}")),
            read=lambda file: cgroups.read("", "", file),
        )
    return of_v1(lambda path: (cgroups.ROOT / path).exists(), read=lambda file: cgroups.read("", "cpuset", file))


def of_v1(has: Callable[[str], bool], *, read: Callable[[str], str | None]) -> Abilities:
    """`has(path)` tells of files below /sys/fs/cgroup, `read` gives those of the cpuset controller."""
    throttle = "blkio/blkio.throttle."
    return Abilities(
        memory=has("memory/memory.limit_in_bytes"),
        swap=has("memory/memory.memsw.limit_in_bytes"),
        reservation=has("memory/memory.soft_limit_in_bytes"),
        swappiness=has("memory/memory.swappiness"),
        oom_kill_disable=has("memory/memory.oom_control"),
        cpu_shares=has("cpu/cpu.shares"),
        cpu_cfs=has("cpu/cpu.cfs_quota_us"),
        cpu_realtime=has("cpu/cpu.rt_runtime_us"),
        cpuset=has("cpuset/cpuset.cpus"),
        pids=has("pids/cgroup.procs"),
        blkio_weight=has("blkio/blkio.weight") or has("blkio/blkio.bfq.weight"),
        blkio_weight_device=has("blkio/blkio.weight_device") or has("blkio/blkio.bfq.weight_device"),
        blkio_read_bps=has(throttle + "read_bps_device"),
        blkio_write_bps=has(throttle + "write_bps_device"),
        blkio_read_iops=has(throttle + "read_iops_device"),
        blkio_write_iops=has(throttle + "write_iops_device"),
        cpus=(read("cpuset.cpus") or "").strip(),
        mems=(read("cpuset.mems") or "").strip(),
        processors=os.cpu_count() or 1,
    )


def of_v2(controllers: frozenset[str], *, swap: bool, weight: bool, read: Callable[[str], str | None]) -> Abilities:
    """`controllers` are those of the root group, `read` gives its files; swap and weight only show below it."""
    memory, cpu, io = ("memory" in controllers, "cpu" in controllers, "io" in controllers)
    return Abilities(
        memory=memory,
        swap=memory and swap,
        reservation=memory,
        swappiness=False,
        oom_kill_disable=False,
        cpu_shares=cpu,
        cpu_cfs=cpu,
        cpu_realtime=False,
        cpuset="cpuset" in controllers,
        pids="pids" in controllers,
        blkio_weight=io and weight,
        blkio_weight_device=io and weight,
        blkio_read_bps=io,
        blkio_write_bps=io,
        blkio_read_iops=io,
        blkio_write_iops=io,
        cpus=(read("cpuset.cpus.effective") or "").strip(),
        mems=(read("cpuset.mems.effective") or "").strip(),
        processors=os.cpu_count() or 1,
    )
