"""One exchange with the engine against the description: status, headers, and every JSON document of the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from api_judge.schema import described, findings

_OLDEST = (1, 44)
"""Answers to clients that speak an older version have that version's shape, which is not described here."""
_VERSIONED = re.compile(r"/v(\d+)\.(\d+)(/.*)")
_ERRORS = {400, 401, 403, 404, 405, 409, 412, 500, 501, 503}
"""What any route may answer, described there or not."""
_STREAMS = {
    "POST /images/create": "CreateImageInfo",
    "POST /images/{name}/push": "PushImageInfo",
    "POST /build": "BuildInfo",
}
"""Streams of JSON documents whose shape the description has only in words."""
_HEADERS = ("api-version", "ostype", "server")


@dataclass(slots=True)
class Exchange:
    method: str
    target: str
    """As sent: path and query."""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    whole: bool = True
    """The body was read to its end."""


def judge(exchange: Exchange) -> list[str]:
    """What is wrong with an answer; each line names the request."""
    path, version = _unversioned(exchange.target.partition("?")[0])
    route = _route(exchange.method, path)
    if route is None or exchange.status == 101:
        return []
    return [f"{exchange.method} {exchange.target} → {exchange.status}: {f}" for f in _judge(exchange, route, version)]


def _judge(exchange: Exchange, route: str, version: tuple[int, int]) -> Iterator[str]:
    answers: dict[str, Any] = described()["routes"][route]
    for name in _HEADERS:
        if name not in exchange.headers:
            yield f"header {name}: missing"
    if str(exchange.status) not in answers and exchange.status not in _ERRORS:
        yield f"the status is none of {', '.join(answers)}"
    if exchange.method == "HEAD":
        return
    if exchange.status >= 400:
        yield from _of_schema({"$ref": "ErrorResponse"}, exchange)
    elif version >= _OLDEST:
        stream = _STREAMS.get(route)
        schema = {"$ref": stream} if stream else answers.get(str(exchange.status))
        if schema and schema.get("type") != "string" and not _raw(exchange):
            yield from _of_schema(schema, exchange)


def _raw(exchange: Exchange) -> bool:
    return not exchange.headers.get("content-type", "").startswith("application/json")


def _of_schema(schema: Mapping[str, Any], exchange: Exchange) -> Iterator[str]:
    if _raw(exchange):
        yield f"content-type {exchange.headers.get('content-type')!r}, where JSON is described"
        return
    try:
        documents = list(_documents(exchange.body, whole=exchange.whole))
    except ValueError as error:
        yield f"no JSON ({error}): {exchange.body[:80]!r}"
        return
    for document in documents:
        yield from findings(schema, document)


def _documents(body: bytes, *, whole: bool) -> Iterator[Any]:
    """The JSON documents one after the other; the last may be cut off where the body is not whole."""
    text, decoder, at = body.decode(), json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            document, at = decoder.raw_decode(text, at)
        except ValueError:
            if whole:
                raise
            return
        yield document


def _unversioned(path: str) -> tuple[str, tuple[int, int]]:
    found = _VERSIONED.fullmatch(path)
    return (found[3], (int(found[1]), int(found[2]))) if found else (path, (1, 47))


@cache
def _patterns() -> list[tuple[str, str, re.Pattern[str]]]:
    found = []
    for route in described()["routes"]:
        method, _, path = route.partition(" ")
        several = path.startswith(("/images/", "/distribution/", "/plugins/"))
        found.append((route, method, re.compile(re.sub(r"\{\w+\}", ".+" if several else "[^/]+", path))))
    return sorted(found, key=lambda entry: "{" in entry[0])


def _route(method: str, path: str) -> str | None:
    for route, its_method, pattern in _patterns():
        if method == its_method and pattern.fullmatch(path):
            return route
    return None
