"""How much a scoped socket's containers may have. Pure.

Each container gets at most the share of one; their number is limited; the product bounds the whole. A container that
asks for nothing gets the most that it may have, so that no container is without a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from riad.kernel.faults import denied, exhausted, invalid

NANO = 10**9
_PERIOD = 100_000
_CPU_FIELDS = ("CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime")


@dataclass(frozen=True, slots=True)
class Quota:
    """0 means no limit. `memory` in bytes, `nano_cpus` in billionths of a processor, both of one container."""

    containers: int = 0
    memory: int = 0
    nano_cpus: int = 0
    pids: int = 0

    def check_number(self, present: int) -> None:
        """Raises EXHAUSTED where one more container would be one too many."""
        if self.containers and present >= self.containers:
            raise exhausted(
                f"riad: this socket may have {self.containers} containers, and there are {present}; remove one first"
            )

    def of_container(self, host: Mapping[str, Any]) -> dict[str, Any]:
        """HostConfig with these limits in it. Raises DENIED for more than that, by field."""
        limited = dict(host)
        if self.memory:
            limited["Memory"] = _most(host, "Memory", self.memory, "bytes")
            swap = _number(host, "MemorySwap")
            if swap < 0 or swap > self.memory:
                raise denied(f"riad: HostConfig.MemorySwap: at most {self.memory} bytes with memory, as for Memory")
            limited["MemorySwap"] = max(swap, limited["Memory"])
        if self.nano_cpus:
            if any(_number(host, name) for name in _CPU_FIELDS):
                raise denied("riad: HostConfig: set NanoCpus (--cpus) instead of periods and quotas of processors")
            limited["NanoCpus"] = _most(host, "NanoCpus", self.nano_cpus, "billionths of a processor")
        if self.pids:
            limited["PidsLimit"] = _most(host, "PidsLimit", self.pids, "processes")
        return limited

    def of_build(self, query: Mapping[str, str]) -> dict[str, str]:
        """The parameters of a build that its commands' limits stand in. Raises DENIED for more than may be had."""
        limited: dict[str, str] = {}
        if self.memory:
            asked = _number({"memory": _whole(query, "memory")}, "memory")
            limited["memory"] = str(_most({"memory": asked}, "memory", self.memory, "bytes"))
            limited["memswap"] = limited["memory"]
        if self.nano_cpus:
            limited["cpuperiod"] = str(_PERIOD)
            limited["cpuquota"] = str(self.nano_cpus * _PERIOD // NANO)
        return limited


def _most(host: Mapping[str, Any], name: str, most: int, unit: str) -> int:
    asked = _number(host, name)
    if asked > most:
        raise denied(f"riad: {name}: this socket's containers may have {most} {unit}, not {asked}")
    return asked if asked > 0 else most


def _number(host: Mapping[str, Any], name: str) -> int:
    found = host.get(name)
    if found is None:
        return 0
    if isinstance(found, bool) or not isinstance(found, int):
        raise invalid(f"riad: {name} is not a whole number")
    return found


def _whole(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not text.lstrip("-").isdecimal():
        raise invalid(f"riad: {name} is not a whole number")
    return int(text)
