"""The options of BuildKit's Dockerfile frontend in the builder's words (frontend/dockerfile/builder/build.go).

Whatever is not understood is refused by name; what a client sends for its own records is known and needs no answer.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from riad.engine.build.options import BuildOptions
from riad.engine.containers.spec import DEFAULT_SHM_SIZE, Limit
from riad.kernel.faults import invalid, unsupported

FRONTENDS = ("dockerfile.v0", "gateway.v0")
_SETTINGS = {
    "filename", "target", "no-cache", "platform", "image-resolve-mode", "force-network-mode", "add-hosts", "shm-size",
    "ulimit", "context", "contextkey", "dockerfilekey", "contextsubdir", "requestid",
}  # fmt: skip
_FOR_THE_RECORD = re.compile(
    r"frontend\.caps|vcs:.*|source|cmdline|hostname|multi-platform|cache-imports|cache-from|input-metadata:.*|"
    r"local-sessionid:.*|local:.*|attest:.*|build-arg:BUILDKIT_.*|context-metadata:.*"
)
_TRUE = ("1", "true", "True", "TRUE", "t", "T")


@dataclass(frozen=True, slots=True)
class Request:
    """What to build from where. `context` is an address, "" for the client's folder `context_folder`; `request` asks a
    question about the Dockerfile instead of building (`frontend.lint`, …).
    """

    options: BuildOptions
    context: str = ""
    context_folder: str = "context"
    subfolder: str = ""
    dockerfile_folder: str = "dockerfile"
    dockerfile_apart: bool = False
    named: Mapping[str, str] = field(default_factory=dict)
    question: str = ""
    attestations: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


def read_request(attrs: Mapping[str, str], entitlements: tuple[str, ...] = ()) -> Request:
    """Raises INVALID or UNSUPPORTED that names the option."""
    for name in attrs:
        if not (name in _SETTINGS or name.startswith(("build-arg:", "label:", "context:"))):
            _check_known(name)
    if "," in attrs.get("platform", ""):
        raise unsupported(f"--platform {attrs['platform']}: this engine builds for one platform at a time")
    no_cache = attrs.get("no-cache")
    stages = frozenset(name.strip().lower() for name in (no_cache or "").split(",") if name.strip())
    options = BuildOptions(
        dockerfile=attrs.get("filename") or "Dockerfile",
        target=attrs.get("target", ""),
        build_args={name: value for name, value in _prefixed(attrs, "build-arg:").items() if _is_arg(name)},
        labels=_prefixed(attrs, "label:"),
        no_cache=no_cache == "",
        no_cache_stages=stages,
        pull=attrs.get("image-resolve-mode") == "pull",
        platform=attrs.get("platform", ""),
        network=_network(attrs.get("force-network-mode", ""), entitlements),
        extra_hosts=_hosts(attrs.get("add-hosts", "")),
        limits=_limits(attrs.get("ulimit", "")),
        shm_size=_size(attrs.get("shm-size", "")),
        allow=frozenset(entitlements),
    )
    return Request(
        options,
        context=attrs.get("context", ""),
        context_folder=attrs.get("contextkey") or "context",
        subfolder=attrs.get("contextsubdir", ""),
        dockerfile_folder=attrs.get("dockerfilekey") or "dockerfile",
        dockerfile_apart="dockerfilekey" in attrs,
        named=_prefixed(attrs, "context:"),
        question=attrs.get("requestid", ""),
        attestations=_prefixed(attrs, "attest:"),
        settings={name: value for name, value in _prefixed(attrs, "build-arg:").items() if not _is_arg(name)},
    )


def truth(text: str) -> bool:
    return text in _TRUE


def _check_known(name: str) -> None:
    if name == "cgroup-parent":
        raise unsupported("--cgroup-parent is not supported for builds")
    if not _FOR_THE_RECORD.fullmatch(name):
        raise unsupported(f"the build option {name} is not supported by this engine")


def notes(dockerfile_syntax: str, settings: Mapping[str, str]) -> list[str]:
    """What is told about a frontend that a Dockerfile or a client names: there is one here."""
    syntax = settings.get("BUILDKIT_SYNTAX") or dockerfile_syntax
    name = syntax.partition("@")[0].removeprefix("docker.io/")
    if not syntax or name == "docker/dockerfile" or name.startswith("docker/dockerfile:"):
        return []
    return [f"syntax={syntax}: the frontend of this engine is used instead; it knows docker/dockerfile:1"]


def _is_arg(name: str) -> bool:
    """Arguments of this prefix are settings of the builder, not of the Dockerfile."""
    return not name.startswith("BUILDKIT_")


def _prefixed(attrs: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in attrs.items() if name.startswith(prefix)}


def _network(mode: str, entitlements: tuple[str, ...]) -> str:
    if mode in ("", "default", "sandbox"):
        return "default"
    if mode not in ("host", "none"):
        raise invalid(f"--network {mode}: expected default, host or none")
    if mode == "host" and "network.host" not in entitlements:
        raise invalid("--network host needs --allow network.host")
    return mode


def _hosts(text: str) -> tuple[str, ...]:
    found = []
    for entry in next(csv.reader([text]), []) if text else []:
        name, equals, address = entry.partition("=")
        if not equals or not address:
            raise invalid(f"--add-host {entry}: expected HOST=ADDRESS")
        found.append(f"{name}:{address}")
    return tuple(found)


def _limits(text: str) -> tuple[Limit, ...]:
    found = []
    for entry in next(csv.reader([text]), []) if text else []:
        match = re.fullmatch(r"(\w+)=(-?\d+)(?::(-?\d+))?", entry)
        if match is None:
            raise invalid(f"--ulimit {entry}: expected NAME=SOFT[:HARD]")
        found.append(Limit(f"RLIMIT_{match[1].upper()}", int(match[2]), int(match[3] or match[2])))
    return tuple(found)


def _size(text: str) -> int:
    if not text:
        return DEFAULT_SHM_SIZE
    if not text.isdigit():
        raise invalid(f"--shm-size {text}: expected bytes")
    return int(text)
