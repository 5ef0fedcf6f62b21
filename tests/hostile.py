"""Requests that no client means: every route with odd names, parameters and bodies, drawn by Hypothesis."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

_DEEP: Any = []
for _ in range(900):
    _DEEP = [_DEEP]

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1.5, 1e308),
    *("", " ", "\0", "a\0b", "a\nb", "💥", "\ud800", "..", "../../x", "x" * 5000, "%00", "%2e%2e", "-1", "0x1f"),
    *("1e3", "NaN", "null", "{}", "[]", "a:b:c:d"),
    *([], {}, [None], [{}], [[]], [""], ["\0"], {"": ""}, {"a": None}, {"a": {"b": {"c": []}}}, {"\0": "\0"}),
    *([1, "a", None], _DEEP),
)
"""Of every type, and of every kind that a parser of strings trips over."""

TEXTS = tuple(value for value in VALUES if isinstance(value, str))

BODIES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "cases/engine/bodies.json").read_text())
"""Documents that are good, by route: each field of them is replaced by odd values in turn."""

PARAMETERS = (
    *("all", "limit", "size", "filters", "since", "before", "until", "stdout", "stderr", "follow"),
    *("timestamps", "tail", "details", "stream", "one-shot", "ps_args", "t", "signal", "h", "w", "name"),
    *("condition", "path", "noOverwriteDirNonDir", "copyUIDGID", "v", "force", "link", "detachKeys"),
    *("logs", "stdin", "fromSrc", "repo", "tag", "message", "changes", "platform", "names", "noprune", "q"),
    *("nocache", "rm", "pull", "dockerfile", "buildargs", "labels", "cachefrom", "networkmode"),
    *("memory", "ulimits", "target", "extrahosts", "outputs", "version", "container", "comment"),
    *("author", "pause", "digests", "shared-size", "type", "scope", "verbose", "dangling", "keep-"),
    *("storage", "id", "remote"),
)
_REMOTE = ("images/create", "push", "distribution", "/build", "/grpc", "/session")
"""Routes that would go out for names that look good: they get names of a closed port of this host."""


Headers = tuple[tuple[str, str], ...]
_HEADERS: tuple[Headers, ...] = (
    (),
    (("X-Registry-Auth", "%%%"),),
    (("X-Registry-Config", "e30"),),
    (("Upgrade", "tcp"), ("Connection", "Upgrade")),
)


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    target: bytes
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def raw(self) -> bytes:
        lines = [b"%b %b HTTP/1.1" % (self.method.encode(), self.target), b"Host: docker", b"Connection: close"]
        lines += [f"{name}: {value}".encode() for name, value in self.headers]
        lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    kind: str
    start: bytes
    """The body, or what came of it within the patience."""


def ask(path: Path, asked: Asked, *, patience: float = 30.0) -> Answered:
    """Raises TimeoutError where no head of an answer comes, ConnectionError where the engine just hangs up."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(patience)
        client.connect(str(path))
        client.sendall(asked.raw())
        answer = http.client.HTTPResponse(client, method=asked.method)
        answer.begin()
        client.settimeout(2.0)  # of streams that may be endless, what comes at once is enough
        start = b""
        with contextlib.suppress(TimeoutError, http.client.IncompleteRead):
            start = answer.read(65536) if answer.status != 101 else b""
        return Answered(answer.status, answer.getheader("Content-Type", ""), start)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document."""
    found = [path]
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        found += places(value, (*path, key))
    return found


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def bodies(route: str) -> st.SearchStrategy[bytes]:
    template = BODIES.get(route)
    odd = st.sampled_from(VALUES).map(_dumped)
    raw = st.sampled_from((b"", b"{", b"\0", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"\x1f\x8b\x08garbage"))
    if template is None:
        return st.one_of(st.just(b""), odd, raw)
    where = st.sampled_from([place for place in places(template) if place])
    one = st.builds(lambda path, value: _dumped(replaced(template, path, value)), where, st.sampled_from(VALUES))
    return st.one_of(one, one, one, one, odd, raw, st.just(_dumped(template)))


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def requests(routes: Sequence[tuple[str, str]], names: Sequence[str]) -> st.SearchStrategy[Asked]:
    """`routes`: method and path with `{variables}`; `names`: of things that are there."""
    return st.sampled_from(routes).flatmap(lambda route: _request(*route, names))


def _request(method: str, route: str, names: Sequence[str]) -> st.SearchStrategy[Asked]:
    remote = any(part in route for part in _REMOTE)
    good = tuple(f"127.0.0.1:1/{name}" for name in names) if remote else tuple(names)
    one = st.one_of(
        st.sampled_from(good), st.sampled_from(good), st.sampled_from(TEXTS), st.just("127.0.0.1:1/a/b:c@d")
    )
    odd = st.sampled_from(TEXTS if remote else (*TEXTS, *names, '{"label":["a"]}', '{"a":{"b":true}}', '{"name":[1]}'))
    query = st.lists(st.tuples(st.sampled_from(PARAMETERS), odd), max_size=4)
    prefix = st.sampled_from(("", "", "/v1.47", "/v1.24", "/v1.40", "/v1.43", "/v1.45", "/v0.1"))
    gaps = len(re.findall(r"{[^}]*}", route))

    def built(start: str, given: list[str], pairs: list[tuple[str, str]], body: bytes, more: Headers) -> Asked:
        return Asked(method, _target(start + route, given, pairs), body, more)

    given = st.lists(one, min_size=gaps, max_size=gaps)
    return st.builds(built, prefix, given, query, bodies(route), st.sampled_from(_HEADERS))


def _target(route: str, given: list[str], pairs: list[tuple[str, str]]) -> bytes:
    values = iter(given)
    path = re.sub(r"{[^}]*}", lambda _: _quoted(next(values)), route)
    query = "&".join(f"{key}={_quoted(value)}" for key, value in pairs)
    return (path + (f"?{query}" if query else "")).encode()


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="/:@")
