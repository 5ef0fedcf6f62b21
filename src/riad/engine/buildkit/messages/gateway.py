"""moby.buildkit.v1.frontend.LLBBridge: what a client's build function calls (frontend/gateway/pb/gateway.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riad.engine.buildkit.messages.common import Capability, Status, Worker
from riad.engine.buildkit.messages.control import CacheEntry
from riad.engine.buildkit.protobuf import data, flag, many, mapping, nested, text


@dataclass(frozen=True, slots=True)
class PongResponse:
    frontend_caps: tuple[Capability, ...] = many(1, Capability)
    llb_caps: tuple[Capability, ...] = many(2, Capability)
    workers: tuple[Worker, ...] = many(3, Worker)


@dataclass(frozen=True, slots=True)
class Ref:
    """`definition` is handed back to us when the client uses the result as an input of another build."""

    id: str = text(1)
    definition: bytes = data(2)


@dataclass(frozen=True, slots=True)
class RefMap:
    refs: Mapping[str, Ref] = mapping(1, Ref)


@dataclass(frozen=True, slots=True)
class Result:
    ref: Ref | None = nested(3, Ref)
    refs: RefMap | None = nested(4, RefMap)
    metadata: Mapping[str, bytes] = mapping(10, bytes)


@dataclass(frozen=True, slots=True)
class SolveRequest:
    definition: bytes = data(1)
    frontend: str = text(2)
    options: Mapping[str, str] = mapping(3)
    cache_imports: tuple[CacheEntry, ...] = many(12, CacheEntry)
    inputs: Mapping[str, bytes] = mapping(13, bytes)
    evaluate: bool = flag(14)


@dataclass(frozen=True, slots=True)
class SolveResponse:
    result: Result | None = nested(3, Result)


@dataclass(frozen=True, slots=True)
class ReturnRequest:
    result: Result | None = nested(1, Result)
    error: Status | None = nested(2, Status)


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    ref: str = text(1)
