"""What several services have in common: status of a call, platforms, places in source files, capabilities, workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riad.engine.buildkit.protobuf import data, flag, many, mapping, nested, number, text


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 -- google.protobuf.Any
    type_url: str = text(1)
    value: bytes = data(2)


@dataclass(frozen=True, slots=True)
class Status:
    """google.rpc.Status."""

    code: int = number(1)
    message: str = text(2)
    details: tuple[Any_, ...] = many(3, Any_)


@dataclass(frozen=True, slots=True)
class Platform:
    architecture: str = text(1)
    os: str = text(2)
    variant: str = text(3)


@dataclass(frozen=True, slots=True)
class Position:
    line: int = number(1)
    character: int = number(2)


@dataclass(frozen=True, slots=True)
class Range:
    start: Position | None = nested(1, Position)
    end: Position | None = nested(2, Position)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    filename: str = text(1)
    data: bytes = data(2)


@dataclass(frozen=True, slots=True)
class Capability:
    id: str = text(1)
    enabled: bool = flag(2)


@dataclass(frozen=True, slots=True)
class BuildkitVersion:
    package: str = text(1)
    version: str = text(2)
    revision: str = text(3)


@dataclass(frozen=True, slots=True)
class Worker:
    id: str = text(1)
    labels: Mapping[str, str] = mapping(2)
    platforms: tuple[Platform, ...] = many(3, Platform)
    version: BuildkitVersion | None = nested(5, BuildkitVersion)


def lines(first: int, last: int) -> Range:
    return Range(Position(first), Position(last))
