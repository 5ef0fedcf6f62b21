"""What a request says, by name: JSON objects and query strings alike. Each reader raises INVALID naming the parameter.

Protocol buffers' JSON writes 64-bit numbers as texts, and clients do both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.requests import Request

from riad.kernel.faults import Fault, invalid

Body = Mapping[str, Any]
LARGEST_BODY = 32 * 2**20
_INT64 = 2**63


async def of(request: Request) -> Body:
    if request.method in ("GET", "HEAD"):
        return _query(request)
    raw = await request.body()
    if not raw:
        return _query(request)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise invalid(f"the request's body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise invalid(f"the request's body has to be a JSON object, not a {type(value).__name__}")
    return value


def _query(request: Request) -> Body:
    found: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), value]
        else:
            found[name] = value
    return found


def missing(name: str) -> Fault:
    return invalid(
        f"Missing value for required parameter '{name}'. "
        "See the API docs for more information about request parameters."
    )


def wrong(name: str, value: object, expected: str) -> Fault:
    return invalid(f"Invalid value {str(value)[:200]!r} for parameter '{name}' supplied: expected {expected}")


def text(body: Body, name: str, default: str | None = None) -> str:
    """Required where there is no default."""
    value = body.get(name)
    if value is None or (value == "" and default is None):
        if default is None:
            raise missing(name)
        return default
    if not isinstance(value, str):
        raise wrong(name, value, "a string")
    if "\0" in value:
        raise wrong(name, value, "a string without the character NUL")
    return value


def either(body: Body, name: str, old: str) -> str:
    """By its name, or the one it had in older clients."""
    return text(body, name, "") or text(body, old, "") or text(body, name)


def whole(body: Body, name: str, default: int | None = None) -> int:
    value = body.get(name)
    if value is None:
        if default is None:
            raise missing(name)
        return default
    return as_whole(value, name)


def as_whole(value: object, name: str) -> int:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            raise wrong(name, value, "a whole number") from None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -_INT64 <= value < _INT64:
        raise wrong(name, value, "a whole number of 64 bits")
    return value


_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def as_number(value: object, name: str) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise wrong(name, value, "a number of 64 bits") from None
    if isinstance(value, str):
        try:
            return _WORDS[value] if value in _WORDS else float(value)
        except ValueError:
            pass
    raise wrong(name, value, "a number")


def switch(body: Body, name: str) -> bool:
    value = body.get(name, False)
    if isinstance(value, str):
        return value.lower() in ("true", "1")
    if not isinstance(value, bool) and value is not None:
        raise wrong(name, value, "true or false")
    return bool(value)


def texts(body: Body, name: str) -> list[str]:
    value = body.get(name)
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise wrong(name, value, "a list of strings")
    return value


def objects(body: Body, name: str) -> Sequence[Body]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise wrong(name, value, "a list of objects")
    return value


def pairs(body: Body, name: str) -> list[tuple[str, str]]:
    """`[{"key", "value"}]`, as tags and parameters come."""
    return [(text(each, "key", ""), text(each, "value", "")) for each in objects(body, name)]


def one(body: Body, name: str, default: str, known: Sequence[str]) -> str:
    value = text(body, name, default) or default
    if value not in known:
        raise wrong(name, value, f"one of {', '.join(known)}")
    return value


def limit(body: Body, *, default: int, largest: int) -> int:
    """`max_results`"""
    value = whole(body, "max_results", default)
    if not 1 <= value <= largest:
        raise invalid(f"Invalid value {value} for parameter 'max_results' supplied: it has to be 1 to {largest}.")
    return value
