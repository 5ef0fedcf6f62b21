"""The document that creates a container: what a job may ask for. Pure.

`check` gives the document to pass on and what has to be looked up before: networks and volumes by name must be the
project's, the image must be one it may read. Everything not named here is refused (`refusals.taken`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from riad.dockerclient.scoped.refusals import (
    Check,
    empty,
    free,
    mapping,
    nothing,
    objects,
    only,
    shown,
    taken,
    texts,
)
from riad.dockerclient.scoped.scope import Scope, check_labels
from riad.kernel.faults import denied, invalid

DEFAULT_CAPABILITIES = frozenset(
    (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    )
)  # fmt: skip
SHARED_NETWORKS = frozenset({"", "default", "bridge", "none"})
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_HOST_PATH = "a job's containers cannot mount the host's files; use a volume, or `docker cp` files into the container"


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be the project's: networks and containers by name or id, volumes by name (made where missing)."""

    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Found:
    networks: set[str] = field(default_factory=set)
    volumes: set[str] = field(default_factory=set)
    containers: set[str] = field(default_factory=set)


def check(document: object, scope: Scope) -> tuple[dict[str, Any], Needs]:
    """Raises DENIED for what a job may not ask for, by its path in the document; INVALID for what makes no sense."""
    found = _Found()
    checks = {
        **dict.fromkeys(_FREE, free),
        "Labels": lambda value, _: {**check_labels(value), **scope.labels},
        "HostConfig": lambda value, path: _host_config(value, path, found),
        "NetworkingConfig": lambda value, path: _networking(value, path, found),
        "Image": _image,
    }
    passed = taken(mapping(document, ""), checks, "")
    passed["HostConfig"] = scope.quota.of_container(passed.get("HostConfig") or {})
    passed["Labels"] = passed.get("Labels") or dict(scope.labels)
    if not passed.get("Image"):
        raise invalid("riad: the container's Image is missing")
    needs = Needs(frozenset(found.networks), frozenset(found.volumes), frozenset(found.containers))
    return passed, needs


def check_network(name: str, path: str) -> str | None:
    """The project's own network that must exist, or None where a network is shared. Raises DENIED."""
    if name in SHARED_NETWORKS:
        return None
    if name == "host" or name.startswith(("container:", "ns:")):
        raise denied(f"riad: a job's containers cannot set {path} to {shown(name)}; create a network of your own")
    return name


def check_endpoint(value: object, path: str) -> dict[str, Any]:
    """How a container is joined to one network."""
    # Docker's engine joins the network of a given NetworkID, whatever the name beside it; what else an engine fills in
    # by itself may not be given either (it is not named here).
    checks: dict[str, Check] = {**dict.fromkeys(_FREE_ENDPOINT, free), "Links": nothing("use network aliases")}
    return taken(mapping(value or {}, path), checks, path)


def _image(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"riad: {path} is not a text")
    return value


def _host_config(value: Any, path: str, found: _Found) -> dict[str, Any]:
    checks: dict[str, Check] = {
        **dict.fromkeys(_FREE_HOST, free),
        **_REFUSED_HOST,
        "Binds": lambda v, p: _binds(v, p, found),
        "Mounts": lambda v, p: [
            _mount(entry, f"{p}/{number}", found) for number, entry in enumerate(objects(v or [], p))
        ],
        "VolumesFrom": lambda v, p: _volumes_from(v, p, found),
        "NetworkMode": lambda v, p: _network_mode(v, p, found),
        "CapAdd": _capabilities,
        "SecurityOpt": _security,
        "PortBindings": _ports,
        "RestartPolicy": _restart,
        "LogConfig": _log,
        "OomScoreAdj": _oom,
        "Sysctls": _sysctls,
        # An empty list is not "the default" here: it unmasks what runtimes hide of /proc and /sys.
        "MaskedPaths": _null,
        "ReadonlyPaths": _null,
    }
    return taken(mapping(value or {}, path), checks, path)


def _binds(value: Any, path: str, found: _Found) -> list[str]:
    passed = texts(value or [], path)
    for number, bind in enumerate(passed):
        source, colon, _ = bind.partition(":")
        if not colon or not _VOLUME.fullmatch(source):
            raise denied(f"riad: {path}/{number}: {shown(bind)}: {_HOST_PATH}")
        found.volumes.add(source)
    return passed


def _mount(value: Any, path: str, found: _Found) -> dict[str, Any]:
    document = mapping(value, path)
    if document.get("Type") not in ("volume", "tmpfs"):
        raise denied(f"riad: {path}: {shown(document.get('Type'))}: {_HOST_PATH}")
    checks: dict[str, Check] = {
        **dict.fromkeys(("Type", "Target", "ReadOnly", "TmpfsOptions", "Consistency"), free),
        "Source": free,
        "VolumeOptions": _volume_options,
    }
    passed = taken(document, checks, path)
    source = passed.get("Source")
    if source and document["Type"] == "volume":
        if not isinstance(source, str) or not _VOLUME.fullmatch(source):
            raise denied(f"riad: {path}.Source: {shown(source)}: {_HOST_PATH}")
        found.volumes.add(source)
    return passed


def _volume_options(value: Any, path: str) -> dict[str, Any]:
    checks: dict[str, Check] = {
        "NoCopy": free,
        "Subpath": free,
        "Labels": lambda v, _: check_labels(v),
        "DriverConfig": nothing("volumes of jobs have no driver options"),
    }
    return taken(mapping(value or {}, path), checks, path)


def _volumes_from(value: Any, path: str, found: _Found) -> list[str]:
    passed = texts(value or [], path)
    found.containers.update(entry.partition(":")[0] for entry in passed)
    return passed


def _network_mode(value: Any, path: str, found: _Found) -> str:
    if not isinstance(value, str | None):
        raise invalid(f"riad: {path} is not a text")
    if name := check_network(value or "", path):
        found.networks.add(name)
    return value or ""


def _networking(value: Any, path: str, found: _Found) -> dict[str, Any]:
    def endpoints(value: Any, path: str) -> dict[str, Any]:
        passed = {}
        for name, endpoint in mapping(value or {}, path).items():
            if own := check_network(name, f"{path}.{name}"):
                found.networks.add(own)
            passed[name] = check_endpoint(endpoint, f"{path}.{name}")
        return passed

    return taken(mapping(value or {}, path), {"EndpointsConfig": endpoints}, path)


def _capabilities(value: Any, path: str) -> list[str]:
    passed = texts(value or [], path)
    for name in passed:
        if name.upper().removeprefix("CAP_") not in DEFAULT_CAPABILITIES:
            raise denied(f"riad: {path}: a job's containers cannot have the capability {shown(name)}")
    return passed


def _security(value: Any, path: str) -> list[str]:
    passed = texts(value or [], path)
    for option in passed:
        if option not in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"):
            raise denied(f"riad: {path}: a job's containers cannot set {shown(option)}, only no-new-privileges")
    return passed


def _ports(value: Any, path: str) -> dict[str, Any]:
    """A port of the engine's choice is fine; one of the job's choice would take it from somebody else."""
    passed = {}
    for port, bindings in mapping(value or {}, path).items():
        passed[port] = [_binding(entry, f"{path}.{port}") for entry in objects(bindings or [], f"{path}.{port}")]
    return passed


def _binding(binding: dict[str, Any], path: str) -> dict[str, str]:
    if binding.get("HostPort", "") not in ("", "0", None):
        raise denied(
            f"riad: {path}: a job cannot choose the host's port {shown(binding['HostPort'])}; publish the container's "
            "port alone and ask `docker port`, or reach the container by its name on a network of yours"
        )
    address = binding.get("HostIp") or ""
    if address not in ("", "0.0.0.0", "127.0.0.1", "::", "::1"):  # noqa: S104 -- read, not bound
        raise denied(f"riad: {path}: a job cannot choose the host's address {shown(address)}")
    return {"HostIp": address, "HostPort": ""}


def _restart(value: Any, path: str) -> dict[str, Any]:
    if mapping(value or {}, path).get("Name") not in (None, "", "no"):
        raise denied(f"riad: {path}: a job's containers end with the job; there is no restart policy")
    return {"Name": "", "MaximumRetryCount": 0}


def _log(value: Any, path: str) -> dict[str, Any]:
    passed = mapping(value or {}, path)
    if not empty(passed.get("Config")) or passed.get("Type") not in (None, "", "json-file", "local", "none"):
        raise denied(f"riad: {path}: a job's containers log to the engine alone, without options")
    return {"Type": passed.get("Type") or "", "Config": {}}


def _oom(value: Any, path: str) -> int:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise denied(f"riad: {path}: a job's containers cannot be spared when memory runs out")
    return value or 0


def _sysctls(value: Any, path: str) -> dict[str, Any]:
    passed = mapping(value or {}, path)
    for name in passed:
        if not name.startswith("net."):
            raise denied(f"riad: {path}: a job's containers cannot set {shown(name)}, only net.*")
    return passed


def _null(value: Any, path: str) -> None:
    if value is not None:
        raise denied(f"riad: {path}: a job's containers keep what is hidden of /proc and /sys hidden")


_FREE = (
    "Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "ExposedPorts", "Tty",
    "OpenStdin", "StdinOnce", "Env", "Cmd", "Healthcheck", "ArgsEscaped", "Volumes", "WorkingDir", "Entrypoint",
    "NetworkDisabled", "MacAddress", "OnBuild", "StopSignal", "StopTimeout", "Shell",
)  # fmt: skip
_FREE_ENDPOINT = ("IPAMConfig", "Aliases", "MacAddress", "DNSNames", "GwPriority")
_FREE_HOST = (
    "AutoRemove", "CapDrop", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "GroupAdd", "Init", "ReadonlyRootfs",
    "ShmSize", "Tmpfs", "Ulimits", "ConsoleSize", "PublishAllPorts", "CpuShares", "Memory", "NanoCpus", "BlkioWeight",
    "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems", "MemoryReservation", "MemorySwap", "MemorySwappiness",
    "PidsLimit", "KernelMemory", "KernelMemoryTCP", "CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth",
)  # fmt: skip
_REFUSED_HOST: Mapping[str, Check] = {
    "Privileged": only(False, instead="jobs have no privileges over the host"),
    "PidMode": nothing(),
    "UTSMode": nothing(),
    "UsernsMode": nothing(),
    "IpcMode": only("private", "shareable", "none"),
    "CgroupnsMode": only("private"),
    "CgroupParent": nothing(),
    "Cgroup": nothing(),
    "Isolation": only("default"),
    "Runtime": only("runc"),
    "Devices": nothing(),
    "DeviceRequests": nothing(),
    "DeviceCgroupRules": nothing(),
    "VolumeDriver": only("local"),
    "Links": nothing("use network aliases"),
    "OomKillDisable": only(False),
    "StorageOpt": nothing(),
    "Annotations": nothing(),
    "ContainerIDFile": nothing(),
}
