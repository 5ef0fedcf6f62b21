"""moby.buildkit.v1.Control: builds, their progress, the cache (api/services/control/control.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riad.engine.buildkit.messages.common import BuildkitVersion, Range, SourceInfo, Worker
from riad.engine.buildkit.protobuf import data, datas, flag, many, mapping, moment, nested, number, text, texts


@dataclass(frozen=True, slots=True)
class Exporter:
    type: str = text(1)
    attrs: Mapping[str, str] = mapping(2)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    type: str = text(1)
    attrs: Mapping[str, str] = mapping(2)


@dataclass(frozen=True, slots=True)
class CacheOptions:
    exports: tuple[CacheEntry, ...] = many(4, CacheEntry)
    imports: tuple[CacheEntry, ...] = many(5, CacheEntry)


@dataclass(frozen=True, slots=True)
class SolveRequest:
    """`definition` is LLB; `exporter` with its attributes is what clients before several outputs send."""

    ref: str = text(1)
    definition: bytes = data(2)
    exporter: str = text(3)
    exporter_attrs: Mapping[str, str] = mapping(4)
    session: str = text(5)
    frontend: str = text(6)
    frontend_attrs: Mapping[str, str] = mapping(7)
    cache: CacheOptions | None = nested(8, CacheOptions)
    entitlements: tuple[str, ...] = texts(9)
    frontend_inputs: Mapping[str, bytes] = mapping(10, bytes)
    internal: bool = flag(11)
    source_policy: bytes = data(12)
    exporters: tuple[Exporter, ...] = many(13, Exporter)


@dataclass(frozen=True, slots=True)
class SolveResponse:
    exporter_response: Mapping[str, str] = mapping(1)


@dataclass(frozen=True, slots=True)
class StatusRequest:
    ref: str = text(1)


@dataclass(frozen=True, slots=True)
class Vertex:
    """One line of a build's progress; sent again whenever something about it changes."""

    digest: str = text(1)
    inputs: tuple[str, ...] = texts(2)
    name: str = text(3)
    cached: bool = flag(4)
    started: int = moment(5)
    completed: int = moment(6)
    error: str = text(7)


@dataclass(frozen=True, slots=True)
class VertexStatus:
    """A task below a vertex, with how much of it is done; `total` 0 is not known."""

    id: str = text(1)
    vertex: str = text(2)
    name: str = text(3)
    current: int = number(4)
    total: int = number(5)
    timestamp: int = moment(6)
    started: int = moment(7)
    completed: int = moment(8)


@dataclass(frozen=True, slots=True)
class VertexLog:
    """`stream` is 1 or 2, as a process has them."""

    vertex: str = text(1)
    timestamp: int = moment(2)
    stream: int = number(3)
    msg: bytes = data(4)


@dataclass(frozen=True, slots=True)
class VertexWarning:
    vertex: str = text(1)
    level: int = number(2)
    short: bytes = data(3)
    detail: tuple[bytes, ...] = datas(4)
    url: str = text(5)
    info: SourceInfo | None = nested(6, SourceInfo)
    ranges: tuple[Range, ...] = many(7, Range)


@dataclass(frozen=True, slots=True)
class StatusResponse:
    vertexes: tuple[Vertex, ...] = many(1, Vertex)
    statuses: tuple[VertexStatus, ...] = many(2, VertexStatus)
    logs: tuple[VertexLog, ...] = many(3, VertexLog)
    warnings: tuple[VertexWarning, ...] = many(4, VertexWarning)


@dataclass(frozen=True, slots=True)
class ListWorkersResponse:
    record: tuple[Worker, ...] = many(1, Worker)


@dataclass(frozen=True, slots=True)
class InfoResponse:
    version: BuildkitVersion | None = nested(1, BuildkitVersion)


@dataclass(frozen=True, slots=True)
class DiskUsageRequest:
    filter: tuple[str, ...] = texts(1)


@dataclass(frozen=True, slots=True)
class UsageRecord:
    id: str = text(1)
    mutable: bool = flag(2)
    in_use: bool = flag(3)
    size: int = number(4)
    created_at: int = moment(6)
    last_used_at: int = moment(7)
    usage_count: int = number(8)
    description: str = text(9)
    record_type: str = text(10)
    shared: bool = flag(11)


@dataclass(frozen=True, slots=True)
class DiskUsageResponse:
    record: tuple[UsageRecord, ...] = many(1, UsageRecord)


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """Durations in nanoseconds, sizes in bytes; 0 is not given."""

    filter: tuple[str, ...] = texts(1)
    all: bool = flag(2)
    keep_duration: int = number(3)
    keep_bytes: int = number(4)


@dataclass(frozen=True, slots=True)
class BytesMessage:
    """What streams of plain bytes carry, here and in sessions."""

    data: bytes = data(1)
