"""A release's container: its name, its create document, where it listens. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riad.deploy.edge.port import Route, Upstream
from riad.deploy.model import Environment, Release
from riad.kernel.faults import conflict, invalid

NETWORK = "riad-services"
INSTALLATION = "riad.installation"
"""The label that tells this Riad's services from those of another one on the same engine."""
LARGEST_LOG = "16m"
"""A service runs for months: what the engine keeps of its log is bounded."""


def container_name(environment: Environment, number: int) -> str:
    return f"riad-{environment.service}-r{number}"


def upstream_name(number: int) -> str:
    return f"r{number}"


def spec(environment: Environment, release: Release, *, installation: str, network: str = NETWORK) -> dict[str, Any]:
    """The create document (Docker Engine API, ContainerCreate).

    With an init in front: the kernel hands a signal to process 1 only where it has a handler, so most applications
    would sit out SIGTERM until they are killed.
    """
    environ = release.settings.environ or {}
    return {
        "Image": release.image,
        "Env": [f"{name}={value}" for name, value in sorted(environ.items())],
        "Labels": {**labels(environment, release), INSTALLATION: installation},
        "HostConfig": {
            "NetworkMode": network,
            "RestartPolicy": {"Name": "unless-stopped"},
            "Init": True,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": LARGEST_LOG}},
        },
        "NetworkingConfig": {"EndpointsConfig": {network: {}}},
    }


def labels(environment: Environment, release: Release) -> dict[str, str]:
    return {
        "riad.project": environment.project_path,
        "riad.service": environment.service,
        "riad.environment": str(environment.id),
        "riad.release": str(release.id),
    }


def address(inspected: Mapping[str, Any], network: str = NETWORK) -> str | None:
    """Its IP address on the services' network; None while it has none."""
    endpoint = inspected["NetworkSettings"]["Networks"].get(network) or {}
    return endpoint.get("IPAddress") or endpoint.get("GlobalIPv6Address") or None


def ended(inspected: Mapping[str, Any]) -> int | None:
    """The exit code where it has ended since it was started (an engine may be starting it again); None otherwise."""
    state = inspected["State"]
    if state.get("Status") in ("exited", "dead") or state.get("Restarting") or inspected.get("RestartCount"):
        return int(state.get("ExitCode") or 0)
    return None


def exposed_port(image: str, inspected: Mapping[str, Any]) -> int:
    """The lowest TCP port that an image exposes. Raises INVALID where it exposes none."""
    exposed = (inspected.get("Config") or {}).get("ExposedPorts") or {}
    ports = sorted(int(text.partition("/")[0]) for text in exposed if not text.endswith("/udp"))
    if not ports:
        raise invalid(f"{image} exposes no port; add EXPOSE to its Dockerfile, or say `riad deploy --port N`")
    return ports[0]


def upstream(release: Release) -> Upstream:
    """Where the release answers. Raises CONFLICT where its container has no address."""
    if release.address is None or release.settings.port is None:
        raise conflict(f"the container of release {release.number} has no address")
    host = release.address.rpartition(":")[0].strip("[]")
    return Upstream(upstream_name(release.number), host, release.settings.port)


def joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def route(environment: Environment, domain: str) -> Route | None:
    """Its place at the edge; None for a stopped one."""
    return Route(f"{environment.service}.{domain}", environment.slot) if environment.slot is not None else None


def service_url(external_url: str, domain: str, service: str) -> str:
    """The address that users call a service by, given Riad's own."""
    scheme, _, rest = external_url.partition("://")
    authority = rest.partition("/")[0]
    port = authority.rpartition(":")[2] if ":" in authority.rpartition("]")[2] else ""
    return f"{scheme}://{service}.{domain}{':' + port if port else ''}"
