"""/containers/ID/stats: what a container uses, once or every second."""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web

from riad.engine.containers.engine import Engine
from riad.engine.containers.stats import Sample, Sampler, runs, sample
from riad.engine.dockerapi.app import cancellable
from riad.engine.dockerapi.streams import chunked
from riad.engine.dockerapi.wire import ZERO_TIME, Shape, dumps, flag, json_response, moment, version_of
from riad.engine.host import facts
from riad.engine.host.usage import Memory, Transfer
from riad.kernel.faults import invalid

_ONE_SHOT_SINCE = (1, 41)
_NO_CPU: Shape = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
_NO_BLKIO: Shape = dict.fromkeys(
    (
        "io_service_bytes_recursive",
        "io_serviced_recursive",
        "io_queue_recursive",
        "io_service_time_recursive",
        "io_wait_time_recursive",
        "io_merged_recursive",
        "io_time_recursive",
        "sectors_recursive",
    )
)


def routes(*, engine: Engine, sampler: Sampler) -> list[web.RouteDef]:
    @cancellable
    async def stats(request: web.Request) -> web.StreamResponse:
        container = engine.registry.find(request.match_info["id"])
        stream = flag(request.query, "stream", default=True)
        one_shot = version_of(request) >= _ONE_SHOT_SINCE and flag(request.query, "one-shot")
        if stream and one_shot:
            raise invalid("cannot have stream=true and one-shot=true")
        if not stream and (one_shot or not runs(container)):
            return json_response(stats_shape(sample(engine, container)))
        if stream:
            return await _stream(request, sampler, container_id=container.id)
        before: Sample | None = None
        async with aclosing(sampler.watch(container)) as samples:
            async for found in samples:
                if before is not None:  # the first only primes the difference of processor times
                    return json_response(stats_shape(found, before))
                before = found
        return json_response(stats_shape(before or Sample(container, engine.clock.now())))

    async def _stream(request: web.Request, sampler: Sampler, *, container_id: str) -> web.StreamResponse:
        container = engine.registry.find(container_id)
        response = await chunked(request, content_type="application/json")
        before: Sample | None = None
        async with aclosing(sampler.watch(container)) as samples:
            async for found in samples:
                await response.write((dumps(stats_shape(found, before)) + "\n").encode())
                before = found
        await response.write_eof()
        return response

    return [web.get("/containers/{id:/?[^/]+}/stats", stats)]


def stats_shape(found: Sample, before: Sample | None = None) -> Shape:
    """The body; all zeros but the name for a container that does not run, as Docker answers then."""
    used = found.used
    primed = before is not None and before.used is not None
    return {
        "read": moment(found.at) if used else ZERO_TIME,
        "preread": moment(before.at) if before is not None and primed else ZERO_TIME,
        "pids_stats": _pids(found),
        "blkio_stats": _blkio(found),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(found) if used else _NO_CPU,
        "precpu_stats": _cpu(before) if before is not None and primed else _NO_CPU,
        "memory_stats": _memory(used.memory) if used and used.memory else {},
        "name": f"/{found.container.name}",
        "id": found.container.id,
        **({"networks": _networks(found)} if found.links else {}),
    }


def _cpu(found: Sample) -> Shape:
    if found.used is None or found.host is None:
        return _NO_CPU
    cpu = found.used.cpu
    return {
        "cpu_usage": {
            "total_usage": cpu.total,
            **({"percpu_usage": list(cpu.per_cpu)} if cpu.per_cpu else {}),
            "usage_in_kernelmode": cpu.kernel,
            "usage_in_usermode": cpu.user,
        },
        "system_cpu_usage": found.host.total,
        "online_cpus": found.host.online,
        "throttling_data": {
            "periods": cpu.periods,
            "throttled_periods": cpu.throttled_periods,
            "throttled_time": cpu.throttled,
        },
    }


def _memory(memory: Memory) -> Shape:
    """Without what is zero, as Go leaves it out; a container without a limit may use all that the host has."""
    shape: Shape = {
        "usage": memory.used,
        "max_usage": memory.highest,
        "stats": dict(memory.details),
        "failcnt": memory.failures,
        "limit": min(memory.limit, facts.memory_total()),
    }
    return {name: value for name, value in shape.items() if value}


def _pids(found: Sample) -> Shape:
    if found.used is None:
        return {}
    shape = {"current": found.used.pids, "limit": found.used.pids_limit}
    return {name: value for name, value in shape.items() if value}


def _blkio(found: Sample) -> Shape:
    if found.used is None:
        return _NO_BLKIO
    moved, served = _transfers(found.used.transferred), _transfers(found.used.operations)
    if not found.used.cpu.per_cpu:  # cgroup v2 counts bytes alone
        return {**_NO_BLKIO, "io_service_bytes_recursive": moved or None}
    return {
        **{name: [] for name in _NO_BLKIO},
        "io_service_bytes_recursive": moved,
        "io_serviced_recursive": served,
    }


def _transfers(found: tuple[Transfer, ...]) -> list[Shape]:
    return [{"major": one.major, "minor": one.minor, "op": one.operation, "value": one.value} for one in found]


def _networks(found: Sample) -> Shape:
    return {
        name: {
            "rx_bytes": link.rx_bytes,
            "rx_packets": link.rx_packets,
            "rx_errors": link.rx_errors,
            "rx_dropped": link.rx_dropped,
            "tx_bytes": link.tx_bytes,
            "tx_packets": link.tx_packets,
            "tx_errors": link.tx_errors,
            "tx_dropped": link.tx_dropped,
        }
        for name, link in sorted(found.links.items())
    }
