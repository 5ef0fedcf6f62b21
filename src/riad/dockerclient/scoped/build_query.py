"""The parameters of a build: what a job may ask for. Pure.

`check` gives the parameters to pass on (with the project's labels) and the images that the build's parameters name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from riad.dockerclient.scoped.create_spec import check_network
from riad.dockerclient.scoped.refusals import shown
from riad.dockerclient.scoped.scope import Scope, check_labels
from riad.kernel.faults import denied, invalid, unsupported

_FREE = frozenset(
    (
        "q", "nocache", "pull", "rm", "forcerm", "memory", "memswap", "cpushares", "cpusetcpus", "cpusetmems",
        "cpuperiod", "cpuquota", "shmsize", "ulimits", "target", "platform", "extrahosts",
    )
)  # fmt: skip
_EMPTY = {
    "remote": "send the files of the build as its context",
    "cgroupparent": "",
    "securityopt": "",
    "outputs": "the result of a build is an image",
    "session": "set DOCKER_BUILDKIT=0",
    "squash": "",
    "cachetag": "",
}


@dataclass(frozen=True, slots=True)
class BuildQuery:
    """`query` has everything but `dockerfile`, which the context decides (`context.repack`)."""

    query: tuple[tuple[str, str], ...]
    dockerfile: str
    arguments: Mapping[str, str | None]
    images: tuple[str, ...]
    network: str | None


def check(query: Mapping[str, Sequence[str]], scope: Scope) -> BuildQuery:
    """Raises DENIED, UNSUPPORTED (BuildKit) or INVALID, each naming the parameter."""
    passed: list[tuple[str, str]] = []
    network = None
    for name, values in query.items():
        if name in _FREE:
            passed.append((name, values[-1]))
        elif name == "t":
            passed += [("t", str(scope.own_name(value))) for value in values if value]
        elif name == "networkmode":
            network = check_network(values[-1], "networkmode")
            passed.append((name, values[-1]))
        elif name == "version":
            if values[-1] not in ("", "1"):
                raise unsupported("riad: jobs build with the classic builder; set DOCKER_BUILDKIT=0")
        elif name == "isolation":
            _require(values[-1] in ("", "default"), name, values[-1])
        elif name in _EMPTY:
            _require(values[-1] in ("", "0", "false", "null", "[]", "{}"), name, values[-1], _EMPTY[name])
        elif name not in ("dockerfile", "labels", "buildargs", "cachefrom", "buildid"):
            raise denied(f"riad: a job's builds cannot set {name}")
    limits = scope.quota.of_build(dict(passed))
    passed = [(name, value) for name, value in passed if name not in limits] + list(limits.items())
    labels = check_labels(_document(query, "labels", dict))
    passed.append(("labels", json.dumps({**labels, **scope.labels})))
    arguments = _arguments(query)
    passed.append(("buildargs", json.dumps(dict(arguments))))
    images = tuple(_document(query, "cachefrom", list) or ())
    if not all(isinstance(image, str) for image in images):
        raise invalid("riad: cachefrom is not a list of images")
    if images:
        passed.append(("cachefrom", json.dumps(list(images))))
    dockerfile = (query.get("dockerfile") or [""])[-1] or "Dockerfile"
    return BuildQuery(tuple(passed), dockerfile, arguments, images, network)


def _arguments(query: Mapping[str, Sequence[str]]) -> dict[str, str | None]:
    found = _document(query, "buildargs", dict) or {}
    if not all(isinstance(value, str | None) for value in found.values()):
        raise invalid("riad: buildargs is not a mapping of texts")
    return dict(found)


def _document(query: Mapping[str, Sequence[str]], name: str, shape: type) -> Any:
    text = (query.get(name) or [""])[-1]
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        raise invalid(f"riad: {name} is not JSON") from None
    if found is not None and not isinstance(found, shape):
        raise invalid(f"riad: {name} is not what it should be")
    return found


def _require(good: bool, name: str, value: str, instead: str = "") -> None:
    if not good:
        raise denied(f"riad: a job's builds cannot set {name} to {shown(value)}" + (f"; {instead}" if instead else ""))
