"""The body itself: `Config`, with `HostConfig` and `NetworkingConfig` inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from riad.engine.containers.model import Settings
from riad.engine.dockerapi.create_body.fields import Json, refuse_unknown
from riad.engine.dockerapi.create_body.hostconfig import read_host
from riad.engine.dockerapi.create_body.mounts import RECURSIVE_SINCE, as_before_recursion
from riad.engine.dockerapi.create_body.networking import read_networks
from riad.kernel.faults import invalid
from riad.oci.config import container_config_from_json
from riad.oci.fields import field

_CONFIG = frozenset(
    [
        "Hostname",
        "Domainname",
        "User",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "ExposedPorts",
        "Tty",
        "OpenStdin",
        "StdinOnce",
        "Env",
        "Cmd",
        "Healthcheck",
        "ArgsEscaped",
        "Image",
        "Volumes",
        "WorkingDir",
        "Entrypoint",
        "OnBuild",
        "Labels",
        "StopSignal",
        "StopTimeout",
        "Shell",
        "HostConfig",
        "NetworkingConfig",
        "MacAddress",
        "NetworkDisabled",
        "Name",
        "Platform",
    ]
)
LATEST = (1, 47)


def read_settings(body: Json, version: tuple[int, ...] = LATEST) -> Settings:
    """`version` of the API is what the client speaks.

    Raises INVALID naming the path of what is wrong, UNSUPPORTED naming the field that this engine lacks.
    """
    if not body:
        raise invalid("config cannot be empty in order to create a container")
    refuse_unknown(body, _CONFIG, "")
    image = field(body, "Image", str, "")
    if not image:
        raise invalid("Config/Image: no image was named")
    host_body: dict[str, Any] = field(body, "HostConfig", dict, {})
    host = read_host(host_body)
    if version < RECURSIVE_SINCE:
        host = replace(host, mounts=as_before_recursion(host.mounts))
    if field(body, "NetworkDisabled", bool, False):
        host = replace(host, network_mode="none", ports=(), publish_all=False)
        body = {**body, "NetworkingConfig": None}
    return Settings(
        image=image,
        config=container_config_from_json(body),
        host=host,
        hostname=field(body, "Hostname", str, ""),
        domainname=field(body, "Domainname", str, ""),
        tty=field(body, "Tty", bool, False),
        open_stdin=field(body, "OpenStdin", bool, False),
        stdin_once=field(body, "StdinOnce", bool, False),
        attach_stdin=field(body, "AttachStdin", bool, False),
        attach_stdout=field(body, "AttachStdout", bool, False),
        attach_stderr=field(body, "AttachStderr", bool, False),
        mac=field(body, "MacAddress", str, ""),
        networks=read_networks(body, host.network_mode),
    )
