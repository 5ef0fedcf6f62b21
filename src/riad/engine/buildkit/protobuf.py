"""Protocol buffers' wire format for messages described as dataclasses (protobuf.dev, "Encoding").

A message is a frozen dataclass whose fields are declared with `text(1)`, `number(2)`, `nested(3, Other)` and so on: the
number is the field's tag. Fields that a message does not declare are passed over in decoding; fields at their default
are left out in encoding, as proto3 has it. Times are integers: nanoseconds since 1970, 0 for none.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

M = TypeVar("M")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SECOND = 10**9


class Malformed(ValueError):  # noqa: N818 -- read as a predicate
    """Bytes that are no message."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """How one field is written: `write` gives a value's bytes, `read` its value from an int or bytes."""

    tag: int
    wire: int
    write: Callable[[Any], bytes]
    read: Callable[[Any], Any]
    many: bool = False
    mapped: bool = False


def text(tag: int) -> Any:
    return _field(_Kind(tag, _BYTES, str.encode, _text), "")


def texts(tag: int) -> Any:
    return _field(_Kind(tag, _BYTES, str.encode, _text, many=True), ())


def data(tag: int) -> Any:
    return _field(_Kind(tag, _BYTES, bytes, bytes), b"")


def datas(tag: int) -> Any:
    return _field(_Kind(tag, _BYTES, bytes, bytes, many=True), ())


def number(tag: int) -> Any:
    """An int32, int64 or enum."""
    return _field(_Kind(tag, _VARINT, varint, _signed), 0)


def flag(tag: int) -> Any:
    return _field(_Kind(tag, _VARINT, varint, bool), False)


def moment(tag: int) -> Any:
    """A google.protobuf.Timestamp as nanoseconds."""
    return _field(_Kind(tag, _BYTES, _written_time, _read_time), 0)


def nested(tag: int, kind: type[Any]) -> Any:
    return _field(_Kind(tag, _BYTES, encode, functools.partial(decode, kind)), None)


def many(tag: int, kind: type[Any]) -> Any:
    return _field(_Kind(tag, _BYTES, encode, functools.partial(decode, kind), many=True), ())


def mapping(tag: int, kind: type[Any] = str) -> Any:
    """A map with text keys; values are texts, `bytes` or a message."""
    write: Callable[[Any], bytes] = encode
    read: Callable[[Any], Any] = functools.partial(decode, kind)
    if kind is str:
        write, read = str.encode, _text
    elif kind is bytes:
        write, read = bytes, bytes

    def written(entry: tuple[str, Any]) -> bytes:
        key, value = entry
        return _keyed(1, key.encode()) + _keyed(2, write(value))

    def taken(raw: bytes) -> tuple[str, Any]:
        found: dict[int, Any] = dict(fields(raw))
        return _text(found.get(1, b"")), read(found.get(2, b""))

    return dataclasses.field(default_factory=dict, metadata={"wire": _Kind(tag, _BYTES, written, taken, mapped=True)})


def _field(kind: _Kind, default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"wire": kind})


def encode(message: Any) -> bytes:
    out = bytearray()
    for name, kind, default in _layout(_cached(type(message))):
        value = getattr(message, name)
        if value == default or value is None:
            continue
        values = value.items() if kind.mapped else value if kind.many else (value,)
        for item in values:
            written = kind.write(item)
            out += _keyed(kind.tag, written) if kind.wire == _BYTES else varint(kind.tag << 3) + written
    return bytes(out)


def decode(kind: type[M], raw: bytes) -> M:
    """Raises Malformed."""
    known = _tags(_cached(kind))
    values: dict[str, Any] = {}
    for tag, value in fields(raw):
        entry = known.get(tag)
        if entry is None:
            continue
        name, how = entry
        if (how.wire == _VARINT) != isinstance(value, int):
            raise Malformed(f"{kind.__name__}.{name}: a value of another type")
        taken = how.read(value)
        if how.mapped:
            values.setdefault(name, {})[taken[0]] = taken[1]
        elif how.many:
            values.setdefault(name, []).append(taken)
        else:
            values[name] = taken
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Tags and values in their order: numbers as int, everything else as bytes. Raises Malformed."""
    at, end = 0, len(raw)
    while at < end:
        key, at = read_varint(raw, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = read_varint(raw, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, at = read_varint(raw, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise Malformed(f"wire type {wire}")
        if at + size > end:
            raise Malformed("a field ends behind its message")
        yield key >> 3, raw[at : at + size]
        at += size


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    if value < 0x80:
        return value.to_bytes(1, "little")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where the next thing begins."""
    shift = value = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise Malformed("a number that does not end")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _keyed(tag: int, raw: bytes) -> bytes:
    return varint(tag << 3 | _BYTES) + varint(len(raw)) + raw


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _signed(value: int) -> int:
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >> 63 else value


def _written_time(value: int) -> bytes:
    seconds, nanos = divmod(value, _SECOND)
    out = b""
    if seconds:
        out += varint(1 << 3) + varint(seconds)
    if nanos:
        out += varint(2 << 3) + varint(nanos)
    return out


def _read_time(raw: bytes) -> int:
    found = {tag: value for tag, value in fields(raw) if isinstance(value, int)}
    return _signed(found.get(1, 0)) * _SECOND + found.get(2, 0)


def _cached(kind: Any) -> Any:
    """The key of the tables below; a class is hashable whatever its values are."""
    return kind


@functools.cache
def _layout(kind: Any) -> tuple[tuple[str, _Kind, Any], ...]:
    return tuple(
        (f.name, f.metadata["wire"], {} if f.metadata["wire"].mapped else f.default) for f in dataclasses.fields(kind)
    )


@functools.cache
def _tags(kind: Any) -> dict[int, tuple[str, _Kind]]:
    return {how.tag: (name, how) for name, how, _ in _layout(kind)}
