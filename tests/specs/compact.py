"""Makes `docker_engine_1_47.json` of Docker's published description of its Engine API: shapes only, no prose.

    python tests/specs/compact.py PATH/TO/docker-engine-api-1.47.yaml

Per route and status the schema of the answer: types, formats, required, nullable, enums, properties, references.
Routes of Swarm and plugins keep their statuses without shapes: this engine answers there as a Docker without them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

TARGET = Path(__file__).with_name("docker_engine_1_47.json")
_KEPT = ("type", "format", "required", "enum", "$ref")
_WITHOUT_SHAPES = ("/plugins", "/nodes", "/swarm", "/services", "/tasks", "/secrets", "/configs")
_METHODS = ("get", "head", "post", "put", "delete")


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if "$ref" in found:
        found["$ref"] = found["$ref"].rpartition("/")[2]
    if schema.get("x-nullable"):
        found["nullable"] = True
    if "properties" in schema:
        found["properties"] = {name: compact(inner) for name, inner in schema["properties"].items()}
        if "required" in found:  # it demands one property that it does not have
            found["required"] = [name for name in found["required"] if name in found["properties"] or "allOf" in schema]
    if "items" in schema:
        found["items"] = compact(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        found["values"] = compact(schema["additionalProperties"])
    if "allOf" in schema:
        found["allOf"] = [compact(inner) for inner in schema["allOf"]]
    return found


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for inner in schema.values():
            yield from references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from references(inner)


def routes(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`{"GET /path/{id}": {"200": schema or None}}`."""
    found: dict[str, dict[str, Any]] = {}
    for path, operations in description["paths"].items():
        bare = path.startswith(_WITHOUT_SHAPES)
        for method in _METHODS:
            if method in operations:
                answers = operations[method]["responses"].items()
                found[f"{method.upper()} {path}"] = {
                    str(status): compact(answer["schema"]) if "schema" in answer and not bare else None
                    for status, answer in answers
                }
    return found


def main(source: Path) -> None:
    description = yaml.load(source.read_text(), Loader=yaml.CSafeLoader)
    named = {name: compact(schema) for name, schema in description["definitions"].items()}
    found = routes(description)
    needed, more = set(), {*references(found), "CreateImageInfo", "PushImageInfo", "BuildInfo"}
    while more:
        needed |= more
        more = {inner for name in more for inner in references(named[name])} - needed
    parts = {"routes": found, "definitions": {name: named[name] for name in sorted(needed)}}
    text = ",\n".join(
        f' "{part}": {{\n'
        + ",\n".join(f'  "{name}": {json.dumps(value, separators=(",", ":"))}' for name, value in entries.items())
        + "\n }"
        for part, entries in parts.items()
    )
    TARGET.write_text(f"{{\n{text}\n}}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
