"""/_ping, /version, /info: who answers here, and on what."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from riad import __version__
from riad.engine.containers.engine import Engine
from riad.engine.containers.logs import options as log_options
from riad.engine.containers.model import Phase
from riad.engine.dockerapi.wire import (
    API_VERSION,
    ENGINE_VERSION,
    OLDEST_API_VERSION,
    Shape,
    dotted,
    json_response,
    moment,
)
from riad.engine.events import Events
from riad.engine.host import cgroups, facts
from riad.engine.host.abilities import Abilities


@dataclass(frozen=True, slots=True)
class About:
    """What the daemon was started with, for `info`."""

    id: str
    data_root: Path
    mirrors: Sequence[str] = ()
    insecure: Sequence[str] = ()
    debug: bool = False


def routes(*, engine: Engine, events: Events, about: About) -> list[web.RouteDef]:
    async def ping(request: web.Request) -> web.Response:
        # Clients from 18.09 to 22 take 2 for the promise of `/build?version=2`; newer ones ask buildx in any case.
        headers = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache", "Builder-Version": "1"}
        headers["Swarm"] = "inactive"
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": "0"}, content_type="text/plain")
        return web.Response(text="OK", headers=headers)

    async def version(_: web.Request) -> web.Response:
        return json_response(version_shape(engine))

    async def info(_: web.Request) -> web.Response:
        return json_response(info_shape(engine, events, about))

    return [
        web.get("/_ping", ping, allow_head=False),
        web.head("/_ping", ping),
        web.get("/version", version),
        web.get("/info", info),
    ]


def version_shape(engine: Engine) -> Shape:
    kernel = os.uname().release
    return {
        "Platform": {"Name": f"Riad engine {__version__}"},
        "Components": [
            {
                "Name": "Engine",
                "Version": ENGINE_VERSION,
                "Details": {
                    "ApiVersion": dotted(API_VERSION),
                    "Arch": facts.architecture(),
                    "Experimental": "false",
                    "KernelVersion": kernel,
                    "MinAPIVersion": dotted(OLDEST_API_VERSION),
                    "Os": "linux",
                    "Riad": __version__,
                },
            },
        ],
        "Version": ENGINE_VERSION,
        "ApiVersion": dotted(API_VERSION),
        "MinAPIVersion": dotted(OLDEST_API_VERSION),
        "GitCommit": f"riad-{__version__}",
        "GoVersion": f"none (Python {sys.version.split()[0]})",
        "Os": "linux",
        "Arch": facts.architecture(),
        "KernelVersion": kernel,
    }


def info_shape(engine: Engine, events: Events, about: About) -> Shape:
    phases = [container.phase for container in engine.registry]
    v2 = cgroups.layout() is cgroups.Layout.V2
    able = engine.abilities
    return {
        "ID": about.id,
        "Containers": len(phases),
        "ContainersRunning": sum(phase in (Phase.RUNNING, Phase.RESTARTING) for phase in phases),
        "ContainersPaused": phases.count(Phase.PAUSED),
        "ContainersStopped": sum(phase in (Phase.CREATED, Phase.STARTING, Phase.EXITED) for phase in phases),
        "Images": len(engine.images.all()),
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", _filesystem(about.data_root)], ["Supports d_type", "true"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": sorted(log_options.DRIVERS),
        },
        "MemoryLimit": able.memory,
        "SwapLimit": able.swap,
        "CpuCfsPeriod": able.cpu_cfs,
        "CpuCfsQuota": able.cpu_cfs,
        "CPUShares": able.cpu_shares,
        "CPUSet": able.cpuset,
        "PidsLimit": able.pids,
        "IPv4Forwarding": True,
        "BridgeNfIptables": False,
        "BridgeNfIp6tables": False,
        "Debug": about.debug,
        "NFd": len(os.listdir("/proc/self/fd")),
        "OomKillDisable": able.oom_kill_disable,
        "NGoroutines": 1,
        "SystemTime": moment(engine.clock.now()),
        "LoggingDriver": log_options.DEFAULT_DRIVER,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "2" if v2 else "1",
        "NEventsListener": events.listeners,
        "KernelVersion": os.uname().release,
        "OperatingSystem": facts.operating_system(),
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": os.uname().machine,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": _registries(about),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": facts.memory_total(),
        "GenericResources": None,
        "DockerRootDir": str(about.data_root),
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": os.uname().nodename,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": ENGINE_VERSION,
        "Runtimes": {engine.runtime.name: {"path": engine.runtime.program}},
        "DefaultRuntime": engine.runtime.name,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "docker-init",
        "ContainerdCommit": {"ID": "", "Expected": ""},
        "RuncCommit": {"ID": "", "Expected": ""},
        "InitCommit": {"ID": "", "Expected": ""},
        "SecurityOptions": _security(engine),
        "Warnings": [*_missing(engine.abilities), *engine.networks.warnings] or None,
    }


def _registries(about: About) -> Shape:
    own = {"docker.io": {"Name": "docker.io", "Mirrors": list(about.mirrors), "Secure": True, "Official": True}}
    others = {name: {"Name": name, "Mirrors": [], "Secure": False, "Official": False} for name in about.insecure}
    return {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": own | others, "Mirrors": list(about.mirrors)}


def _filesystem(folder: Path) -> str:
    best, kind = "", "unknown"
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as table:
        for line in table:
            _, point, name, *_ = line.split(" ")
            if str(folder).startswith(point) and len(point) > len(best):
                best, kind = point, name
    return kind


def _security(engine: Engine) -> list[str]:
    found = ["name=apparmor"] if engine.host.apparmor else []
    found.append("name=seccomp,profile=builtin")
    if engine.remap is not None:
        found.append("name=userns")
    return [*found, *(["name=cgroupns"] if engine.host.cgroup_v2 else [])]


def _missing(able: Abilities) -> list[str]:
    """The limits that this host cannot set, in Docker's words; the CLI prints them as they are."""
    return [
        f"WARNING: No {what} support"
        for what, there in (
            ("memory limit", able.memory),
            ("swap limit", able.swap),
            ("cpu cfs quota", able.cpu_cfs),
            ("cpu shares", able.cpu_shares),
            ("cpuset", able.cpuset),
            ("blkio throttle.read_bps_device", able.blkio_read_bps),
            ("blkio throttle.write_bps_device", able.blkio_write_bps),
            ("blkio throttle.read_iops_device", able.blkio_read_iops),
            ("blkio throttle.write_iops_device", able.blkio_write_iops),
        )
        if not there
    ]
