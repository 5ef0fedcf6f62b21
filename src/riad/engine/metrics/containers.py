"""Running containers in cAdvisor's words, so that the dashboards and rules that people have work as they are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from riad.engine.containers.stats import Sample
from riad.engine.host.usage import Link, Memory, Usage
from riad.engine.metrics.exposition import Family, Value, label_name

_SECOND = 1e9
_UNLIMITED = 2**62
"""Limits from here on mean none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One running container: the labels of all its values, what it used, the bytes of its own files if measured."""

    labels: Mapping[str, str]
    sample: Sample
    written: int | None = None


def seen(group: str, sample: Sample, written: int | None = None) -> Seen:
    """`group` is the path of its control group, which cAdvisor takes for the container's identity."""
    container = sample.container
    labels = {"id": group, "name": container.name, "image": container.settings.image}
    for key, value in container.labels.items():
        labels.setdefault(f"container_label_{label_name(key)}", value)
    return Seen(labels, sample, written)


_FromUsage = Callable[[Usage], float]
_CPU: Sequence[tuple[str, str, _FromUsage]] = (
    ("cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", lambda u: u.cpu.total / _SECOND),
    ("cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.", lambda u: u.cpu.user / _SECOND),
    ("cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.", lambda u: u.cpu.kernel / _SECOND),
    ("cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.", lambda u: u.cpu.periods),
    (
        "cpu_cfs_throttled_periods_total",
        "Number of throttled period intervals.",
        lambda u: u.cpu.throttled_periods,
    ),
    (
        "cpu_cfs_throttled_seconds_total",
        "Total time duration the container has been throttled.",
        lambda u: u.cpu.throttled / _SECOND,
    ),
)
_MEMORY: Sequence[tuple[str, str, str, Callable[[Memory], float]]] = (
    ("memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory.", lambda m: m.used),
    (
        "memory_working_set_bytes",
        "gauge",
        "Current working set in bytes.",
        lambda m: max(0, m.used - m.reclaimable),
    ),
    ("memory_rss", "gauge", "Size of RSS in bytes.", lambda m: _detail(m, "total_rss", "anon")),
    ("memory_cache", "gauge", "Number of bytes of page cache memory.", lambda m: _detail(m, "total_cache", "file")),
    (
        "memory_mapped_file",
        "gauge",
        "Size of memory mapped files in bytes.",
        lambda m: _detail(m, "total_mapped_file", "file_mapped"),
    ),
    ("memory_swap", "gauge", "Container swap usage in bytes.", lambda m: _detail(m, "total_swap", "swap")),
    ("memory_max_usage_bytes", "gauge", "Maximum memory usage recorded in bytes.", lambda m: m.highest),
    ("memory_failcnt", "counter", "Number of memory usage hits limits.", lambda m: m.failures),
    ("oom_events_total", "counter", "Count of out of memory events observed for the container.", lambda m: m.kills),
    (
        "spec_memory_limit_bytes",
        "gauge",
        "Memory limit for the container; 0 is none.",
        lambda m: m.limit if m.limit < _UNLIMITED else 0,
    ),
)
_NETWORK: Sequence[tuple[str, str, Callable[[Link], int]]] = (
    ("receive_bytes_total", "Cumulative count of bytes received.", lambda link: link.rx_bytes),
    ("receive_packets_total", "Cumulative count of packets received.", lambda link: link.rx_packets),
    ("receive_errors_total", "Cumulative count of errors encountered while receiving.", lambda link: link.rx_errors),
    (
        "receive_packets_dropped_total",
        "Cumulative count of packets dropped while receiving.",
        lambda link: link.rx_dropped,
    ),
    ("transmit_bytes_total", "Cumulative count of bytes transmitted.", lambda link: link.tx_bytes),
    ("transmit_packets_total", "Cumulative count of packets transmitted.", lambda link: link.tx_packets),
    (
        "transmit_errors_total",
        "Cumulative count of errors encountered while transmitting.",
        lambda link: link.tx_errors,
    ),
    (
        "transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting.",
        lambda link: link.tx_dropped,
    ),
)


def families(running: Sequence[Seen]) -> Iterator[Family]:
    """Counters are since the container's start; seconds, bytes, moments in unix seconds."""
    yield _family("last_seen", "gauge", "Last time a container was seen.", _each(running, _seen_at))
    yield _family("start_time_seconds", "gauge", "Start time of the container.", _each(running, _started_at))
    for name, text, usage in _CPU:
        # cAdvisor tells the processor apart where it can; "total" is its word where it cannot.
        extra = {"cpu": "total"} if name == "cpu_usage_seconds_total" else {}
        found = (Value({**s.labels, **extra}, usage(s.sample.used)) for s in running if s.sample.used)
        yield _family(name, "counter", text, found)
    for name, kind, text, memory in _MEMORY:
        pairs = ((s, s.sample.used.memory) for s in running if s.sample.used)
        yield _family(name, kind, text, (Value(s.labels, memory(m)) for s, m in pairs if m))
    yield from _limits(running)
    for name, text, counter in _NETWORK:
        links = ((s, interface, link) for s in running for interface, link in sorted(s.sample.links.items()))
        values = (Value({**s.labels, "interface": interface}, counter(link)) for s, interface, link in links)
        yield _family(f"network_{name}", "counter", text, values)
    yield from _disk(running)


def _limits(running: Sequence[Seen]) -> Iterator[Family]:
    processes = ((s, s.sample.used.pids) for s in running if s.sample.used)
    text = "Number of processes and threads running inside the container."
    yield _family("threads", "gauge", text, (Value(s.labels, count) for s, count in processes))
    for name, text, member in (
        ("spec_cpu_shares", "CPU share of the container.", "cpu_shares"),
        ("spec_cpu_period", "CPU period of the container.", "cpu_period"),
        ("spec_cpu_quota", "CPU quota of the container.", "cpu_quota"),
    ):
        asked = ((s, getattr(s.sample.container.settings.host.resources, member)) for s in running)
        yield _family(name, "gauge", text, (Value(s.labels, value) for s, value in asked if value))


def _disk(running: Sequence[Seen]) -> Iterator[Family]:
    text = "Number of bytes that are consumed by the container on this filesystem."
    yield _family(
        "fs_usage_bytes", "gauge", text, (Value(s.labels, s.written) for s in running if s.written is not None)
    )
    for name, text, operation, counts in (
        ("fs_reads_bytes_total", "Cumulative count of bytes read", "read", "transferred"),
        ("fs_writes_bytes_total", "Cumulative count of bytes written", "write", "transferred"),
        ("fs_reads_total", "Cumulative count of reads completed", "read", "operations"),
        ("fs_writes_total", "Cumulative count of writes completed", "write", "operations"),
    ):
        moved = ((s, one) for s in running if s.sample.used for one in getattr(s.sample.used, counts))
        values = (
            Value({**s.labels, "device": f"{one.major}:{one.minor}"}, one.value)
            for s, one in moved
            if one.operation.lower() == operation
        )
        yield _family(name, "counter", text, values)


def _each(running: Sequence[Seen], value: Callable[[Seen], float]) -> Iterator[Value]:
    return (Value(seen.labels, value(seen)) for seen in running)


def _seen_at(seen: Seen) -> float:
    return int(seen.sample.at.timestamp())


def _started_at(seen: Seen) -> float:
    started = seen.sample.container.run.started_at
    return int(started.timestamp()) if started else 0


def _detail(memory: Memory, *names: str) -> int:
    return next((memory.details[name] for name in names if name in memory.details), 0)


def _family(name: str, kind: str, text: str, values: Iterable[Value]) -> Family:
    return Family(f"container_{name}", text, kind, tuple(values))
