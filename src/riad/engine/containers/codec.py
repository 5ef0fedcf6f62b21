"""Frozen dataclasses to JSON and back, by their type hints, for the state database."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """What `json.dumps` takes. Members that have their default are left out, so that defaults may be added later."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: to_json(member) for f, member in members if not _is_default(f, member)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(to_json(item) for item in value)
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def from_json(shape: type[T], value: Any) -> T:
    return cast(T, _read(shape, value))


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(field.default == value)
    return field.default_factory is not dataclasses.MISSING and bool(field.default_factory() == value)


@cache
def _hints(shape: type) -> dict[str, Any]:
    return typing.get_type_hints(shape)


def _read(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _read(next(a for a in arguments if a is not type(None)), value)
    if origin is tuple:
        inner = arguments if len(arguments) == len(value) and ... not in arguments else [arguments[0]] * len(value)
        return tuple(_read(kind, item) for kind, item in zip(inner, value, strict=True))
    if origin is frozenset:
        return frozenset(_read(arguments[0], item) for item in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(arguments[1], item) for key, item in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint(**{name: _read(_hints(hint)[name], item) for name, item in value.items()})
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value)
    return datetime.fromisoformat(value) if hint is datetime else value
