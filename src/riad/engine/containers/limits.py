"""What may be asked of a container's limits, pure: refused, discarded with a warning, or completed, as Docker does.

The sentences are Docker's own; clients and test suites compare them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from riad.engine.containers.spec import Resources
from riad.engine.host.abilities import Abilities
from riad.kernel.faults import invalid

MINIMUM_MEMORY = 6 * 2**20
_PER_CPU = 10**9


@dataclass(frozen=True, slots=True)
class Settled:
    resources: Resources
    warnings: tuple[str, ...] = ()


def settle(asked: Resources, nano_cpus: int, host: Abilities, *, update: bool = False) -> Settled:
    """What of `asked` the host can do. Raises INVALID for what makes no sense; an `update` may name swap alone."""
    warnings: list[str] = []
    limits = asked
    for sentence, changed in _discarded(asked, host):
        limits = replace(limits, **changed)
        if sentence:
            warnings.append(sentence)
    _check_memory(limits, update=update)
    if limits.oom_kill_disable and not limits.memory and not update:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    _check_cpu(limits, nano_cpus, host)
    _check_cpuset(limits, host)
    if limits.blkio_weight is not None and not 10 <= limits.blkio_weight <= 1000:
        raise invalid("Range of blkio weight is from 10 to 1000")
    if limits.memory and not limits.memory_swap and not update:
        limits = replace(limits, memory_swap=limits.memory * 2)  # as much swap again
    if limits.oom_kill_disable is None and host.oom_kill_disable and not update:
        limits = replace(limits, oom_kill_disable=False)
    return Settled(limits, tuple(warnings))


def _discarded(asked: Resources, host: Abilities) -> Iterator[tuple[str, dict[str, Any]]]:
    """Warning and replacement for all that this kernel has no limit for."""
    unmounted = "or the cgroup is not mounted."
    if asked.memory and not host.memory:
        yield (
            f"Your kernel does not support memory limit capabilities {unmounted} Limitation discarded.",
            {"memory": None, "memory_swap": -1},
        )
    elif asked.memory and asked.memory_swap != -1 and not host.swap:
        yield (
            f"Your kernel does not support swap limit capabilities {unmounted} Memory limited without swap.",
            {"memory_swap": -1},
        )
    if asked.swappiness is not None and not host.swappiness:
        yield (
            f"Your kernel does not support memory swappiness capabilities {unmounted} Memory swappiness discarded.",
            {"swappiness": None},
        )
    if asked.memory_reservation and not host.reservation:
        yield (
            f"Your kernel does not support memory soft limit capabilities {unmounted} Limitation discarded.",
            {"memory_reservation": None},
        )
    if asked.kernel_memory:
        yield (
            f"Your kernel does not support kernel memory limit capabilities {unmounted} Limitation discarded.",
            {"kernel_memory": 0},
        )
    if asked.oom_kill_disable is not None and not host.oom_kill_disable:
        sentence = "Your kernel does not support OomKillDisable. OomKillDisable discarded."
        yield sentence if asked.oom_kill_disable else "", {"oom_kill_disable": None}
    if asked.pids is not None and not host.pids:
        sentence = f"Your kernel does not support PIDs limit capabilities {unmounted} PIDs limit discarded."
        yield sentence if asked.pids > 0 else "", {"pids": None}
    if asked.cpu_shares and not host.cpu_shares:
        yield f"Your kernel does not support CPU shares {unmounted[:-1]}. Shares discarded.", {"cpu_shares": None}
    if (asked.cpu_period or asked.cpu_quota) and not host.cpu_cfs:
        yield (
            "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
            {"cpu_period": None, "cpu_quota": None},
        )
    if asked.cpu_percent:
        yield "linux does not support CPU percent. Percent discarded.", {"cpu_percent": 0}
    if (asked.cpuset_cpus or asked.cpuset_mems) and not host.cpuset:
        sentence = f"Your kernel does not support cpuset {unmounted[:-1]}. Cpuset discarded."
        yield sentence, {"cpuset_cpus": "", "cpuset_mems": ""}
    yield from _discarded_blkio(asked, host)


def _discarded_blkio(asked: Resources, host: Abilities) -> Iterator[tuple[str, dict[str, Any]]]:
    unmounted = "or the cgroup is not mounted."
    if asked.blkio_weight and not host.blkio_weight:
        yield f"Your kernel does not support Block I/O weight {unmounted} Weight discarded.", {"blkio_weight": None}
    if asked.blkio_weight_devices and not host.blkio_weight_device:
        yield (
            f"Your kernel does not support Block I/O weight_device {unmounted} Weight-device discarded.",
            {"blkio_weight_devices": ()},
        )
    for name, able, what, lost in (
        ("read_bps", host.blkio_read_bps, "BPS Block I/O read limit", "Block I/O BPS read limit"),
        ("write_bps", host.blkio_write_bps, "BPS Block I/O write limit", "Block I/O BPS write limit"),
        ("read_iops", host.blkio_read_iops, "IOPS Block read limit", "Block I/O IOPS read limit"),
        ("write_iops", host.blkio_write_iops, "IOPS Block write limit", "Block I/O IOPS write limit"),
    ):
        if getattr(asked, name) and not able:
            yield f"Your kernel does not support {what} {unmounted} {lost} discarded.", {name: ()}


def _check_memory(limits: Resources, *, update: bool) -> None:
    memory, swap, reservation = limits.memory or 0, limits.memory_swap or 0, limits.memory_reservation or 0
    if memory and memory < MINIMUM_MEMORY:
        raise invalid("Minimum memory limit allowed is 6MB")
    if memory and 0 < swap < memory:
        raise invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not memory and swap > 0 and not update:
        raise invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
    if limits.swappiness is not None and not 0 <= limits.swappiness <= 100:
        raise invalid(f"Invalid value: {limits.swappiness}, valid memory swappiness range is 0-100")
    if reservation and reservation < MINIMUM_MEMORY:
        raise invalid("Minimum memory reservation allowed is 6MB")
    if memory and reservation and memory < reservation:
        raise invalid("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpu(limits: Resources, nano_cpus: int, host: Abilities) -> None:
    if nano_cpus > 0 and limits.cpu_period:
        raise invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano_cpus > 0 and limits.cpu_quota:
        raise invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if nano_cpus > 0 and not host.cpu_cfs:
        raise invalid(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    if nano_cpus and not 0 <= nano_cpus <= host.processors * _PER_CPU:
        count = host.processors
        raise invalid(f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
    if limits.cpu_shares is not None and limits.cpu_shares < 0:
        raise invalid(f"invalid CPU shares ({limits.cpu_shares}): value must be a positive integer")
    if limits.cpu_period is not None and not 1000 <= limits.cpu_period <= 1_000_000:
        raise invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if limits.cpu_quota is not None and 0 < limits.cpu_quota < 1000:
        raise invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    period, runtime = limits.realtime_period or 0, limits.realtime_runtime or 0
    if (period or runtime) and not host.cpu_realtime:
        raise invalid("Your kernel does not support CPU real-time scheduler")
    if period and runtime > period:
        raise invalid("cpu real-time runtime cannot be higher than cpu real-time period")


def _check_cpuset(limits: Resources, host: Abilities) -> None:
    for asked, have, what, which in (
        (limits.cpuset_cpus, host.cpus, "cpuset cpus", "CPUs"),
        (limits.cpuset_mems, host.mems, "cpuset mems", "memory nodes"),
    ):
        if not asked:
            continue
        try:
            wanted = numbers(asked)
        except ValueError:
            raise invalid(f"Invalid value {asked} for {what}: invalid format: {asked}") from None
        if not wanted <= numbers(have):
            raise invalid(f"Requested {which} are not available - requested {asked}, available: {have}")


def numbers(text: str) -> frozenset[int]:
    """The kernel's list form. Raises ValueError.

    >>> sorted(numbers("0-2,7"))
    [0, 1, 2, 7]
    """
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        low, high = int(first), int(last) if dash else int(first)
        if not 0 <= low <= high < 8192:
            raise ValueError(text)
        found |= set(range(low, high + 1))
    return frozenset(found)
