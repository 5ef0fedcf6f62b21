"""What a control group has used: processor, memory, block devices, processes; cgroup v1 and v2 in one form.

The conversions are pure: they take `read(controller, file)`, which gives a file's text or None (v2 has no controllers'
folders and ignores the first). Files are those of the kernel's admin-guide/cgroup-v1 and cgroup-v2.rst. Reading starts
no process; a sample takes some ten short reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from riad.engine.host import cgroups

Read = Callable[[str, str], str | None]
UNLIMITED = 2**64 - 1
_TICK = 10**9 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Nanoseconds. `per_cpu` only with cgroup v1."""

    total: int = 0
    kernel: int = 0
    user: int = 0
    per_cpu: tuple[int, ...] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes; `limit` may be larger than the host's memory. `details` is memory.stat; `highest` is 0 where unknown.

    `kills` is how many processes the kernel has killed for want of memory.
    """

    used: int = 0
    limit: int = UNLIMITED
    highest: int = 0
    failures: int = 0
    kills: int = 0
    details: Mapping[str, int] = field(default_factory=dict)

    @property
    def reclaimable(self) -> int:
        """Page cache that nobody has used lately: what `docker stats` takes off."""
        details = self.details
        return details.get("total_inactive_file", details.get("inactive_file", 0))


@dataclass(frozen=True, slots=True)
class Transfer:
    """One line of blkio: `operation` is Read, Write, … with v1, read and write with v2."""

    major: int
    minor: int
    operation: str
    value: int


@dataclass(frozen=True, slots=True)
class Usage:
    """`pids_limit` is None where there is none that the layout could tell (v1)."""

    cpu: Cpu = Cpu()
    memory: Memory | None = None
    transferred: tuple[Transfer, ...] = ()
    """Bytes."""
    operations: tuple[Transfer, ...] = ()
    """Requests; v1 only, as Docker shows it."""
    pids: int = 0
    pids_limit: int | None = None


def of_group(group: str) -> Usage:
    """Of the group (`/riad/…`) now; zeros where it is gone."""
    read = partial(cgroups.read, group)
    return from_v2(read) if cgroups.layout() is cgroups.Layout.V2 else from_v1(read)


def from_v1(read: Read) -> Usage:
    times, throttling = _pairs(read("cpuacct", "cpuacct.stat")), _pairs(read("cpu", "cpu.stat"))
    cpu = Cpu(
        total=_number(read("cpuacct", "cpuacct.usage")),
        kernel=times.get("system", 0) * _TICK,
        user=times.get("user", 0) * _TICK,
        per_cpu=tuple(map(int, (read("cpuacct", "cpuacct.usage_percpu") or "").split())),
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled=throttling.get("throttled_time", 0),
    )
    # The first names exist only with the old CFQ scheduler, which counts more exactly where it is there.
    moved = read("blkio", "blkio.io_service_bytes_recursive") or read(
        "blkio", "blkio.throttle.io_service_bytes_recursive"
    )
    served = read("blkio", "blkio.io_serviced_recursive") or read("blkio", "blkio.throttle.io_serviced_recursive")
    return Usage(
        cpu=cpu,
        memory=_memory_v1(read),
        transferred=tuple(_blkio(moved)),
        operations=tuple(_blkio(served)),
        pids=_number(read("pids", "pids.current")),
        pids_limit=_limit(read("pids", "pids.max")),
    )


def _memory_v1(read: Read) -> Memory | None:
    used = read("memory", "memory.usage_in_bytes")
    if used is None:
        return None
    return Memory(
        used=_number(used),
        limit=_number(read("memory", "memory.limit_in_bytes"), default=UNLIMITED),
        highest=_number(read("memory", "memory.max_usage_in_bytes")),
        failures=_number(read("memory", "memory.failcnt")),
        kills=_pairs(read("memory", "memory.oom_control")).get("oom_kill", 0),
        details=_pairs(read("memory", "memory.stat")),
    )


def from_v2(read: Read) -> Usage:
    times = _pairs(read("", "cpu.stat"))
    cpu = Cpu(
        total=times.get("usage_usec", 0) * 1000,
        kernel=times.get("system_usec", 0) * 1000,
        user=times.get("user_usec", 0) * 1000,
        periods=times.get("nr_periods", 0),
        throttled_periods=times.get("nr_throttled", 0),
        throttled=times.get("throttled_usec", 0) * 1000,
    )
    pids = read("", "pids.current")
    limit = _limit(read("", "pids.max"))
    return Usage(
        cpu=cpu,
        memory=_memory_v2(read),
        transferred=tuple(_io(read("", "io.stat"))),
        pids=_number(pids),
        pids_limit=limit if limit is not None or pids is None else UNLIMITED,
    )


def _memory_v2(read: Read) -> Memory | None:
    used = read("", "memory.current")
    if used is None:
        return None
    happened = _pairs(read("", "memory.events"))
    return Memory(
        used=_number(used),
        limit=_number(read("", "memory.max"), default=UNLIMITED),
        failures=happened.get("oom", 0),
        kills=happened.get("oom_kill", 0),
        details=_pairs(read("", "memory.stat")),
    )


@dataclass(frozen=True, slots=True)
class HostCpu:
    """All processors together since boot, in nanoseconds, and how many are online."""

    total: int
    online: int


def host_cpu(text: str | None = None) -> HostCpu:
    """From /proc/stat: user, nice, system, idle, iowait, irq and softirq; guest time is in user already."""
    lines = (Path("/proc/stat").read_text() if text is None else text).splitlines()
    total = sum(map(int, lines[0].split()[1:8])) * _TICK
    online = sum(1 for line in lines[1:] if line.startswith("cpu"))
    return HostCpu(total, online)


@dataclass(frozen=True, slots=True)
class Link:
    """Counters of one interface, as seen from inside its network namespace."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


def links_of(pid: int) -> dict[str, Link]:
    """The interfaces, but the loopback, of the network namespace that the process is in; none where it is gone."""
    try:
        return parse_links(Path(f"/proc/{pid}/net/dev").read_text())
    except OSError:
        return {}


def parse_links(text: str) -> dict[str, Link]:
    found = {}
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        values = [int(word) for word in numbers.split()]
        if name.strip() != "lo" and len(values) >= 12:
            found[name.strip()] = Link(*values[0:4], *values[8:12])
    return found


def _pairs(text: str | None) -> dict[str, int]:
    found = {}
    for line in (text or "").splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            found[name] = int(value)
    return found


def _number(text: str | None, *, default: int = 0) -> int:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdigit() else default


def _limit(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdigit() else None


def _blkio(text: str | None) -> Iterator[Transfer]:
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) == 3:  # the last line is the total of all devices
            major, _, minor = words[0].partition(":")
            yield Transfer(int(major), int(minor), words[1], int(words[2]))


def _io(text: str | None) -> Iterator[Transfer]:
    for line in (text or "").splitlines():
        device, *entries = line.split()
        major, _, minor = device.partition(":")
        counted = dict(entry.partition("=")[::2] for entry in entries)
        for key, operation in (("rbytes", "read"), ("wbytes", "write")):
            if key in counted and minor:
                yield Transfer(int(major), int(minor), operation, int(counted[key]))
