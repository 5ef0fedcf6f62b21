"""An image's configuration: what a container of it gets by default, and how it came to be (image-spec, config.md).

The identity of an image is the digest of the exact bytes of its configuration, so what was pulled is kept as bytes;
`encode` is for images made here. Docker's own fields beyond the specification (Healthcheck, OnBuild, Shell) are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as _field
from typing import Any

from riad.kernel.faults import invalid
from riad.oci.digest import Digest, parse_digest
from riad.oci.fields import field, load_object, text_map, texts
from riad.oci.platform import Platform, host_platform

_HOST = host_platform()


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """Times are in nanoseconds, 0 = inherit. `test`: () inherit, ("NONE",), ("CMD", …) or ("CMD-SHELL", text)."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0

    def to_json(self) -> dict[str, Any]:
        named = {
            "Test": list(self.test),
            "Interval": self.interval,
            "Timeout": self.timeout,
            "StartPeriod": self.start_period,
            "StartInterval": self.start_interval,
            "Retries": self.retries,
        }
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """The defaults a container starts with. `entrypoint` and `cmd`: None = not set, () = set to nothing."""

    user: str = ""
    exposed_ports: frozenset[str] = frozenset()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: frozenset[str] = frozenset()
    working_dir: str = ""
    labels: Mapping[str, str] = _field(default_factory=dict)
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    args_escaped: bool = False

    def to_json(self) -> dict[str, Any]:
        """Absent members are left out, except Env, Cmd and Entrypoint, which clients look for."""
        found: dict[str, Any] = {
            "Env": list(self.env) if self.env else None,
            "Cmd": None if self.cmd is None else list(self.cmd),
            "Entrypoint": None if self.entrypoint is None else list(self.entrypoint),
        }
        optional: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in sorted(self.exposed_ports)},
            "Volumes": {path: {} for path in sorted(self.volumes)},
            "WorkingDir": self.working_dir,
            "Labels": dict(sorted(self.labels.items())),
            "StopSignal": self.stop_signal,
            "Healthcheck": self.healthcheck.to_json() if self.healthcheck else None,
            "OnBuild": list(self.on_build),
            "Shell": list(self.shell),
            "ArgsEscaped": self.args_escaped,
        }
        if self.stop_timeout is not None:
            found["StopTimeout"] = self.stop_timeout
        return found | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class History:
    """One step of an image's making. `created` is RFC 3339 text as written, or empty."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    def to_json(self) -> dict[str, Any]:
        named: dict[str, Any] = {
            "created": self.created,
            "author": self.author,
            "created_by": self.created_by,
            "comment": self.comment,
            "empty_layer": self.empty_layer,
        }
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """`created` is RFC 3339 text, or empty; `diff_ids` are the layers' digests, bottom first, uncompressed."""

    config: ContainerConfig = ContainerConfig()
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()
    created: str = ""
    author: str = ""
    comment: str = ""
    platform: Platform = _HOST
    os_version: str = ""
    docker_version: str = ""

    def encode(self) -> bytes:
        body: dict[str, Any] = {
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": self.config.to_json(),
            "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in self.diff_ids]},
            "history": [entry.to_json() for entry in self.history],
        }
        optional = {
            "variant": self.platform.variant,
            "created": self.created,
            "author": self.author,
            "comment": self.comment,
            "os.version": self.os_version,
            "docker_version": self.docker_version,
        }
        body |= {name: value for name, value in optional.items() if value}
        return json.dumps(body, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def parse_image_config(data: bytes) -> ImageConfig:
    """Raises INVALID naming the path of what is wrong."""
    source = load_object(data, "image configuration")
    rootfs: dict[str, Any] = field(source, "rootfs", dict, {})
    if not rootfs:
        raise invalid("image configuration: rootfs is missing")
    history: list[Any] = field(source, "history", list, [])
    return ImageConfig(
        config=container_config_from_json(field(source, "config", dict, {}), at="config/"),
        diff_ids=tuple(map(parse_digest, texts(rootfs, "diff_ids", at="rootfs/"))),
        history=tuple(_history(entry, f"history/{place}/") for place, entry in enumerate(history)),
        created=field(source, "created", str, ""),
        author=field(source, "author", str, ""),
        comment=field(source, "comment", str, ""),
        platform=Platform(
            field(source, "os", str, "linux") or "linux",
            field(source, "architecture", str, _HOST.architecture) or _HOST.architecture,
            field(source, "variant", str, ""),
        ),
        os_version=field(source, "os.version", str, ""),
        docker_version=field(source, "docker_version", str, ""),
    )


def container_config_from_json(source: Mapping[str, Any], *, at: str = "") -> ContainerConfig:
    """Reads `config` of an image, or the same members of a Docker API body. Raises INVALID."""
    health: dict[str, Any] = field(source, "Healthcheck", dict, {}, at=at)
    return ContainerConfig(
        user=field(source, "User", str, "", at=at),
        exposed_ports=frozenset(field(source, "ExposedPorts", dict, {}, at=at)),
        env=texts(source, "Env", at=at),
        entrypoint=_command(source, "Entrypoint", at),
        cmd=_command(source, "Cmd", at),
        volumes=frozenset(field(source, "Volumes", dict, {}, at=at)),
        working_dir=field(source, "WorkingDir", str, "", at=at),
        labels=text_map(source, "Labels", at=at),
        stop_signal=field(source, "StopSignal", str, "", at=at),
        stop_timeout=field(source, "StopTimeout", int, 0, at=at) if source.get("StopTimeout") is not None else None,
        healthcheck=healthcheck_from_json(health, at=at + "Healthcheck/") if health else None,
        on_build=texts(source, "OnBuild", at=at),
        shell=texts(source, "Shell", at=at),
        args_escaped=field(source, "ArgsEscaped", bool, False, at=at),
    )


def healthcheck_from_json(source: Mapping[str, Any], *, at: str = "") -> Healthcheck:
    return Healthcheck(
        test=texts(source, "Test", at=at),
        interval=field(source, "Interval", int, 0, at=at),
        timeout=field(source, "Timeout", int, 0, at=at),
        start_period=field(source, "StartPeriod", int, 0, at=at),
        start_interval=field(source, "StartInterval", int, 0, at=at),
        retries=field(source, "Retries", int, 0, at=at),
    )


def _command(source: Mapping[str, Any], name: str, at: str) -> tuple[str, ...] | None:
    # Docker's API also takes a bare text where a list belongs (types/strslice).
    value = source.get(name)
    if isinstance(value, str):
        return (value,)
    return None if value is None else texts(source, name, at=at)


def _history(source: Any, at: str) -> History:
    if not isinstance(source, dict):
        raise invalid(f"{at}: expected an object")
    return History(
        created=field(source, "created", str, "", at=at),
        created_by=field(source, "created_by", str, "", at=at),
        author=field(source, "author", str, "", at=at),
        comment=field(source, "comment", str, "", at=at),
        empty_layer=field(source, "empty_layer", bool, False, at=at),
    )
