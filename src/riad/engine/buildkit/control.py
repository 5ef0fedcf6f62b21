"""Control: a build from the client's side, its progress, and the cache."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from riad.engine.build.cache import Cache, Entry
from riad.engine.build.solve import Builder
from riad.engine.buildkit.builds import Builds
from riad.engine.buildkit.caching import check_targets
from riad.engine.buildkit.grpc import Call, CallFailed, Code, Service, method
from riad.engine.buildkit.jobs import Job, Jobs, Outcome
from riad.engine.buildkit.messages.common import BuildkitVersion, Worker
from riad.engine.buildkit.messages.control import (
    DiskUsageRequest,
    DiskUsageResponse,
    Exporter,
    InfoResponse,
    ListWorkersResponse,
    PruneRequest,
    SolveRequest,
    SolveResponse,
    StatusRequest,
    UsageRecord,
)
from riad.engine.buildkit.messages.gateway import Result
from riad.engine.buildkit.outputs import Outputs
from riad.engine.buildkit.session import Empty
from riad.kernel.clock import Clock
from riad.kernel.faults import invalid

_PREFIX = "/moby.buildkit.v1.Control/"


@dataclass(frozen=True, slots=True)
class Control:
    jobs: Jobs
    builds: Builds
    outputs: Outputs
    builder: Builder
    cache: Cache
    clock: Clock
    worker: Worker
    version: BuildkitVersion

    def service(self) -> Service:
        return {
            f"{_PREFIX}ListWorkers": method(Empty, self._list_workers),
            f"{_PREFIX}Info": method(Empty, self._info),
            f"{_PREFIX}Solve": method(SolveRequest, self._solve),
            f"{_PREFIX}Status": method(StatusRequest, self._status),
            f"{_PREFIX}DiskUsage": method(DiskUsageRequest, self._disk_usage),
            f"{_PREFIX}Prune": method(PruneRequest, self._prune),
        }

    async def _list_workers(self, _: Empty, __: Call) -> ListWorkersResponse:
        return ListWorkersResponse((self.worker,))

    async def _info(self, _: Empty, __: Call) -> InfoResponse:
        return InfoResponse(self.version)

    async def _solve(self, request: SolveRequest, _: Call) -> SolveResponse:
        if request.definition:
            raise CallFailed(
                Code.UNIMPLEMENTED, "this engine builds Dockerfiles; a graph (LLB) of a client's own is not supported"
            )
        targets = request.cache.exports if request.cache else ()
        check_targets(targets)
        async with self.jobs.running(request) as job:
            outcome = await self._outcome(request, job)
            response: dict[str, str] = {}
            if outcome is not None and outcome.solved is not None:
                solved = self.builds.caching.inline(outcome.solved, targets)
                for number, exporter in enumerate(_exporters(request)):
                    response |= await self.outputs.export(job, solved, exporter, number)
                if targets:
                    session = await self.outputs.sessions.get(request.session)
                    await self.builds.caching.give_out(outcome.solved, targets, session, job.reporter.tell)
                await self.cache.trim()
            return SolveResponse(response)

    async def _outcome(self, request: SolveRequest, job: Job) -> Outcome | None:
        """Of the frontend that the request names, or else of the build function that the client runs itself."""
        if request.frontend:
            return await self.builds.build(job, request.frontend, request.frontend_attrs, request.frontend_inputs)
        result: Result | None = await job.returned
        refs = (
            []
            if result is None
            else [result.ref]
            if result.ref
            else list((result.refs.refs if result.refs else {}).values())
        )
        if len(refs) > 1:
            raise CallFailed(Code.UNIMPLEMENTED, "this engine exports one result (one platform) at a time")
        return job.outcomes.get(refs[0].id) if refs and refs[0] else None

    async def _status(self, request: StatusRequest, call: Call) -> None:
        reporter = await self.jobs.progress(request.ref)
        async for news in reporter.follow():
            await call.reply(news)

    async def _disk_usage(self, request: DiskUsageRequest, _: Call) -> DiskUsageResponse:
        return DiskUsageResponse(tuple(map(_usage, _filtered(self.cache.entries(), request.filter, self.clock.now()))))

    async def _prune(self, request: PruneRequest, call: Call) -> None:
        now = self.clock.now()
        since = None
        chosen = _filtered(self.cache.entries(), request.filter, now)
        if request.keep_duration:
            since = now - timedelta(microseconds=request.keep_duration // 1000)
            chosen = [entry for entry in chosen if entry.used_at < since]
        chosen = _beyond(chosen, request.keep_bytes)
        if not request.filter and not request.keep_duration and not request.keep_bytes:
            await self.builder.clear_cache_mounts()
            self.builds.folders.clear()
        await self.cache.forget([entry.key for entry in chosen])
        for entry in chosen:
            await call.reply(_usage(entry))


def _exporters(request: SolveRequest) -> tuple[Exporter, ...]:
    """Clients before several outputs send one in fields of its own; later ones send it both ways."""
    if request.exporters:
        return request.exporters
    return (Exporter(request.exporter, request.exporter_attrs),) if request.exporter else ()


def _beyond(entries: list[Entry], keep: int) -> list[Entry]:
    """The least recently used ones that do not fit into `keep` bytes; all of them where nothing is to be kept."""
    excess = sum(entry.size for entry in entries) - keep
    if not keep:
        return entries
    found = []
    for entry in entries:
        if excess <= 0:
            break
        found.append(entry)
        excess -= entry.size
    return found


_FILTER = re.compile(r"([a-z-]+)(==|~=|!=|=)(.*)")


def _filtered(entries: Iterable[Entry], filters: tuple[str, ...], now: datetime) -> list[Entry]:
    """Raises INVALID for a filter that is not known: id, description, type and inuse are."""
    found = list(entries)
    for whole in filters:
        for text in filter(None, whole.split(",")):
            match = _FILTER.fullmatch(text)
            if match is None or match[1] not in ("id", "description", "type", "inuse", "private", "shared", "mutable"):
                raise invalid(f"filter {text}: expected id, type, description, inuse, mutable, private or shared")
            found = [entry for entry in found if _fits(entry, match[1], match[2], match[3].strip("\"'"))]
    return found


def _fits(entry: Entry, name: str, operator: str, value: str) -> bool:
    usage = _usage(entry)
    actual = {
        "id": usage.id,
        "description": usage.description,
        "type": usage.record_type,
        "inuse": str(usage.in_use).lower(),
        "mutable": "false",
        "private": "true",
        "shared": "false",
    }[name]
    if operator == "~=":
        return re.search(re.escape(value), actual) is not None
    return (actual == value) != (operator == "!=")


def _usage(entry: Entry) -> UsageRecord:
    return UsageRecord(
        id=entry.key[:25],
        size=entry.size,
        created_at=_nanoseconds(entry.created),
        last_used_at=_nanoseconds(entry.used_at),
        usage_count=entry.uses + 1,
        description=entry.description,
        record_type="regular",
    )


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 10**6) * 1000
