"""A JSON value against a shape of `tests/specs/docker_engine_1_47.json`. Says all that is wrong, each with its path.

The description is stricter than the engine it describes, which is written in Go: a list or a map that is nil comes as
null, and a word of an enumeration that was never set as "". Both are no findings. A property that the description does
not have is one, but for those in `UNDESCRIBED`, which dockerd sends all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

_SPEC = Path(__file__).resolve().parent.parent / "specs" / "docker_engine_1_47.json"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_LIMITS = {"int64": 63, "uint64": 64, "int32": 31, "uint32": 32, "int16": 15, "uint16": 16, "int8": 7, "uint8": 8}

NULLS = {"MemorySwappiness", "OomKillDisable", "Error", "ExitCode"}
"""Properties that dockerd sends as null though the description knows only their type."""

UNDESCRIBED = {
    "": {
        "status",
        "id",
        "from",
        "aux",
        "errorDetail",
        "Container",
        "ContainerConfig",
        "VirtualSize",
    },  # for clients of old times
    "Config": {"AttachStdin", "AttachStdout", "AttachStderr"},
    "HostConfig": {"Capabilities"},
    "errorDetail": {"code", "message"},
    "aux": {"ID", "Digest", "Size", "Tag"},
    "DefaultAddressPools": {"Base", "Size"},
}
"""Last part of the path → properties that dockerd sends and the description leaves out."""

WORDS = {"RestartPolicy.Name": {"on-unhealthy"}, "LogConfig.Type": {"local"}}
"""End of the path → words that the description does not know: a policy of our own, a driver that it forgot."""


@cache
def described() -> dict[str, Any]:
    """The whole description: `routes` and `definitions`."""
    found: dict[str, Any] = json.loads(_SPEC.read_text())
    return found


def findings(schema: Mapping[str, Any], value: Any, where: str = "") -> Iterator[str]:
    schema = _resolved(schema)
    if value is None:
        if not _may_be_null(schema) and where.rpartition(".")[2] not in NULLS:
            yield f"{where}: null, where {schema.get('type', 'a value')} is described"
        return
    kind = schema.get("type") or ("object" if "properties" in schema or "values" in schema else None)
    if kind is not None and not _is(kind, value):
        yield f"{where}: {value!r:.60} is not {kind}"
        return
    yield from _scalar(schema, value, where)
    if isinstance(value, dict):
        yield from _object(schema, value, where)
    elif isinstance(value, list) and "items" in schema:
        for number, inner in enumerate(value):
            yield from findings(schema["items"], inner, f"{where}[{number}]")


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without references and allOf."""
    if "$ref" in schema:
        target = _resolved(described()["definitions"][schema["$ref"]])
        return {**target, "nullable": schema.get("nullable", target.get("nullable", False))}
    if "allOf" not in schema:
        return schema
    merged: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in map(_resolved, [*schema["allOf"], {key: inner for key, inner in schema.items() if key != "allOf"}]):
        merged["properties"] |= part.get("properties", {})
        merged["required"] += part.get("required", [])
        merged |= {key: part[key] for key in ("type", "nullable", "values") if key in part}
    return merged


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    if schema.get("nullable") or schema.get("type") == "array":
        return True
    return schema.get("type") in ("object", None) and "properties" not in schema


def _is(kind: str, value: Any) -> bool:
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, {"string": str, "boolean": bool, "array": list, "object": dict}[kind])


def _scalar(schema: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    known = WORDS.get(".".join(where.split(".")[-2:]), set())
    if "enum" in schema and value not in ("", *schema["enum"], *known):
        yield f"{where}: {value!r} is none of {schema['enum']}"
    form = schema.get("format")
    if form in ("dateTime", "date-time") and isinstance(value, str) and value and not _TIME.fullmatch(value):
        yield f"{where}: {value!r} is no time of RFC 3339"
    if form in _LIMITS and isinstance(value, int):
        lowest = 0 if form.startswith("u") else -(1 << _LIMITS[form])
        if not lowest <= value < 1 << _LIMITS[form]:
            yield f"{where}: {value} does not fit into {form}"


def _object(schema: Mapping[str, Any], value: dict[str, Any], where: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    known = UNDESCRIBED.get(re.sub(r"\[\d+\]$", "", where).rpartition(".")[2], set())
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}.{name}: missing"
    for name, inner in value.items():
        if name in properties:
            yield from findings(properties[name], inner, f"{where}.{name}")
        elif "values" in schema:
            yield from findings(schema["values"], inner, f"{where}[{name!r}]")
        elif properties and name not in known:
            yield f"{where}.{name}: not in the description (value {inner!r:.40})"
