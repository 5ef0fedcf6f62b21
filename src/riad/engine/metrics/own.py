"""The engine itself in dockerd's words, its host in cAdvisor's, its process in those of Prometheus' clients."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from riad import __version__
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Phase
from riad.engine.events import Events
from riad.engine.host import facts
from riad.engine.metrics.exposition import Family, Value


def families(engine: Engine, events: Events) -> Iterator[Family]:
    """Blocking, but short."""
    yield from _daemon(engine, events)
    yield _one("machine_cpu_cores", "Number of logical CPU cores.", os.cpu_count() or 1)
    yield _one("machine_memory_bytes", "Amount of memory installed on the machine.", facts.memory_total())
    yield from _process()


def _daemon(engine: Engine, events: Events) -> Iterator[Family]:
    phases = [container.phase for container in engine.registry]
    states = {
        "paused": phases.count(Phase.PAUSED),
        "running": sum(phase in (Phase.RUNNING, Phase.RESTARTING) for phase in phases),
        "stopped": sum(phase in (Phase.CREATED, Phase.STARTING, Phase.EXITED) for phase in phases),
    }
    yield Family(
        "engine_daemon_container_states_containers",
        "The count of containers in various states",
        "gauge",
        tuple(Value({"state": state}, count) for state, count in states.items()),
    )
    info = {
        "architecture": os.uname().machine,
        "commit": f"riad-{__version__}",
        "daemon_id": engine.cgroup_parent.strip("/"),
        "graphdriver": "overlay2",
        "kernel": os.uname().release,
        "os": facts.operating_system(),
        "os_type": "linux",
        "version": __version__,
    }
    text = "The information related to the engine and the OS it is running on"
    yield Family("engine_daemon_engine_info", text, "gauge", (Value(info, 1),))
    yield _one("engine_daemon_engine_cpus_cpus", "The number of cpus that the host system of the engine has",
               os.cpu_count() or 1)  # fmt: skip
    yield _one("engine_daemon_engine_memory_bytes", "The number of bytes of memory that the host system has",
               facts.memory_total())  # fmt: skip
    counted = engine.counted
    yield _count("engine_daemon_health_checks_total", "The total number of health checks", counted.health_checks)
    yield _count(
        "engine_daemon_health_checks_failed_total", "The total number of failed health checks", counted.failed_checks
    )
    yield _count("engine_daemon_events_total", "The number of events logged", events.published)
    yield _one("engine_daemon_events_subscribers_total", "The number of current subscribers to events",
               events.listeners)  # fmt: skip


def _process() -> Iterator[Family]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime
    yield _count("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", seconds)
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    yield _one("process_resident_memory_bytes", "Resident memory size in bytes.", resident)
    yield _one("process_open_fds", "Number of open file descriptors.", len(os.listdir("/proc/self/fd")))
    yield _one("process_max_fds", "Maximum number of open file descriptors.",
               resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # fmt: skip


def _one(name: str, text: str, value: float) -> Family:
    return Family(name, text, "gauge", (Value({}, value),))


def _count(name: str, text: str, value: float) -> Family:
    return Family(name, text, "counter", (Value({}, value),))
