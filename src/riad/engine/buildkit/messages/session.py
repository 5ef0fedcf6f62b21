"""What the engine asks of a client on its session: files, secrets, logins (session/*/*.proto, tonistiigi/fsutil)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from riad.engine.buildkit.protobuf import data, mapping, nested, number, text


@dataclass(frozen=True, slots=True)
class Stat:
    """A file's attributes; `mode` has Go's bits for the kind, `path` is relative with slashes."""

    path: str = text(1)
    mode: int = number(2)
    uid: int = number(3)
    gid: int = number(4)
    size: int = number(5)
    mtime_ns: int = number(6)
    link: str = text(7)
    major: int = number(8)
    minor: int = number(9)
    xattrs: Mapping[str, bytes] = mapping(10, bytes)


class PacketType(enum.IntEnum):
    STAT = 0
    REQUEST = 1
    DATA = 2
    FINISHED = 3
    ERROR = 4


@dataclass(frozen=True, slots=True)
class Packet:
    type: int = number(1)
    stat: Stat | None = nested(2, Stat)
    id: int = number(3)
    data: bytes = data(4)


@dataclass(frozen=True, slots=True)
class SecretRequest:
    id: str = text(1)


@dataclass(frozen=True, slots=True)
class SecretResponse:
    data: bytes = data(1)


@dataclass(frozen=True, slots=True)
class CredentialsRequest:
    host: str = text(1)


@dataclass(frozen=True, slots=True)
class CredentialsResponse:
    username: str = text(1)
    secret: str = text(2)


@dataclass(frozen=True, slots=True)
class AgentRequest:
    id: str = text(1)
