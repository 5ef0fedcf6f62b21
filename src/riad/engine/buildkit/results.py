"""Results that go through a client's hands: one build's result becomes an input of another (bake, Compose).

BuildKit gives clients the graph that a result was made by. Here it is a graph of one source that holds the result's
configuration: its layers are in the cache, so the configuration is all that is needed to go on from it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from riad.engine.buildkit.protobuf import Malformed, datas, decode, encode, flag, many, mapping, nested, number, text
from riad.kernel.faults import Fault, invalid
from riad.oci.config import ImageConfig, parse_image_config

_SCHEME = "riad-result://"
_CONFIG = "riad.config"


@dataclass(frozen=True, slots=True)
class _Input:
    digest: str = text(1)
    index: int = number(2)


@dataclass(frozen=True, slots=True)
class _SourceOp:
    identifier: str = text(1)
    attrs: Mapping[str, str] = mapping(2)


@dataclass(frozen=True, slots=True)
class _Op:
    inputs: tuple[_Input, ...] = many(1, _Input)
    source: _SourceOp | None = nested(3, _SourceOp)  # noqa: RUF009 -- a declaration


@dataclass(frozen=True, slots=True)
class _OpMetadata:
    ignore_cache: bool = flag(1)


@dataclass(frozen=True, slots=True)
class _Definition:
    ops: tuple[bytes, ...] = datas(1)
    metadata: Mapping[str, _OpMetadata] = mapping(2, _OpMetadata)


def definition_of(config: ImageConfig) -> bytes:
    """The graph to give away; the last operation only points at the result."""
    packed = base64.b64encode(config.encode()).decode()
    source = encode(_Op(source=_SourceOp(_SCHEME + hashlib.sha256(packed.encode()).hexdigest(), {_CONFIG: packed})))
    end = encode(_Op(inputs=(_Input(_digest(source)),)))
    return encode(_Definition((source, end), {_digest(op): _OpMetadata() for op in (source, end)}))


def _digest(op: bytes) -> str:
    return "sha256:" + hashlib.sha256(op).hexdigest()


def config_of(definition: bytes) -> ImageConfig:
    """What `definition_of` was given. Raises INVALID for a graph of somebody else."""
    try:
        for raw in decode(_Definition, definition).ops:
            source = decode(_Op, raw).source
            if source is not None and source.identifier.startswith(_SCHEME):
                return parse_image_config(base64.b64decode(source.attrs.get(_CONFIG, "")))
    except (Malformed, ValueError, Fault):
        pass
    raise invalid("an input of the build is a graph (LLB) that this engine did not make, which is not supported")
