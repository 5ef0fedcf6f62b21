"""A container in full, as `inspect` shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from riad.engine.containers import bundle, linking
from riad.engine.containers.create import network_mode
from riad.engine.containers.engine import Engine
from riad.engine.containers.health_record import Health
from riad.engine.containers.logs.options import FILE_DRIVERS
from riad.engine.containers.model import Container, Phase
from riad.engine.dockerapi.container_shapes.hostconfig import host_shape
from riad.engine.dockerapi.container_shapes.parts import docker_status, endpoint_shapes, health_of, mount_shapes
from riad.engine.dockerapi.wire import Shape, moment
from riad.engine.host.disk import written
from riad.engine.networks.model import Sandbox


def inspect_shape(engine: Engine, container: Container, execs: Sequence[str]) -> Shape:
    settings = container.settings
    command = container.command
    folder = engine.paths.folder(container.id)
    return {
        "Id": container.id,
        "Created": moment(container.created),
        "Path": command[0] if command else "",
        "Args": list(command[1:]),
        "State": _state(engine, container),
        "Image": container.image_id,
        "ResolvConfPath": str(folder / "resolv.conf"),
        "HostnamePath": str(folder / "hostname"),
        "HostsPath": str(folder / "hosts"),
        "LogPath": str(engine.paths.log(container.id)) if settings.host.log.driver in FILE_DRIVERS else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": bundle.apparmor(settings.host, engine.host),
        "ExecIDs": list(execs) or None,
        "HostConfig": host_shape(settings.host, _links(engine, container)),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "UpperDir": str(folder / "diff"),
                "WorkDir": str(folder / "work"),
                "MergedDir": str(folder / "root"),
            },
        },
        "Mounts": mount_shapes(container),
        "Config": config_shape(container),
        "NetworkSettings": network_settings(engine, container),
    }


def _health(health: Health) -> Shape:
    return {
        "Status": health.verdict.status,
        "FailingStreak": health.verdict.streak,
        "Log": [
            {"Start": moment(p.began), "End": moment(p.ended), "ExitCode": p.code, "Output": p.output}
            for p in health.log
        ],
    }


def _state(engine: Engine, container: Container) -> Shape:
    run, phase = container.run, container.phase
    health = health_of(engine, container)
    return {
        **({"Health": _health(health)} if health else {}),
        "Status": docker_status(phase),
        "Running": phase in (Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING),
        "Paused": phase is Phase.PAUSED,
        "Restarting": phase is Phase.RESTARTING,
        "OOMKilled": run.oom_killed,
        "Dead": False,
        "Pid": run.pid if phase in (Phase.RUNNING, Phase.PAUSED) else 0,
        "ExitCode": run.exit_code,
        "Error": run.error,
        "StartedAt": moment(run.started_at),
        "FinishedAt": moment(run.finished_at),
    }


def config_shape(container: Container) -> Shape:
    settings, config = container.settings, container.settings.config
    shape: Shape = {
        "Hostname": settings.hostname,
        "Domainname": settings.domainname,
        "User": config.user,
        "AttachStdin": settings.attach_stdin,
        "AttachStdout": settings.attach_stdout,
        "AttachStderr": settings.attach_stderr,
        "Tty": settings.tty,
        "OpenStdin": settings.open_stdin,
        "StdinOnce": settings.stdin_once,
        "Env": list(config.env),
        "Cmd": None if config.cmd is None else list(config.cmd),
        "Image": settings.image,
        "Volumes": {path: {} for path in sorted(config.volumes)} or None,
        "WorkingDir": config.working_dir,
        "Entrypoint": None if config.entrypoint is None else list(config.entrypoint),
        "OnBuild": None,
        "Labels": dict(config.labels),
    }
    if config.exposed_ports or settings.host.ports:
        published = {f"{port.container_port}/{port.proto}" for port in settings.host.ports}
        shape["ExposedPorts"] = {port: {} for port in sorted(config.exposed_ports | published)}
    if config.healthcheck:
        shape["Healthcheck"] = config.healthcheck.to_json()
    if config.stop_signal:
        shape["StopSignal"] = config.stop_signal
    if config.stop_timeout is not None:
        shape["StopTimeout"] = config.stop_timeout
    if config.shell:
        shape["Shell"] = list(config.shell)
    return shape


def _links(engine: Engine, container: Container) -> list[str]:
    links = [linking.parse_link(text) for text in container.settings.host.links]
    named = {link.alias: other.name for link in links if (other := engine.registry.get(link.target))}
    return linking.shown(container.name, named)


def network_settings(engine: Engine, container: Container) -> Shape:
    sandbox = engine.networks.inspect(container.id) if container.phase.alive else None
    networks = endpoint_shapes(engine, container, sandbox)
    first = next(iter(networks.values()), {}) if network_mode(container.settings.host) == "bridge" else {}
    return {
        "Bridge": "",
        "SandboxID": container.id if sandbox else "",
        "SandboxKey": str(sandbox.netns) if sandbox and sandbox.netns else "",
        "Ports": _port_map(container, sandbox),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": first.get("EndpointID", ""),
        "Gateway": first.get("Gateway", ""),
        "GlobalIPv6Address": first.get("GlobalIPv6Address", ""),
        "GlobalIPv6PrefixLen": first.get("GlobalIPv6PrefixLen", 0),
        "IPAddress": first.get("IPAddress", ""),
        "IPPrefixLen": first.get("IPPrefixLen", 0),
        "IPv6Gateway": first.get("IPv6Gateway", ""),
        "MacAddress": first.get("MacAddress", ""),
        "Networks": networks,
    }


def port_map(engine: Engine, container: Container) -> Shape:
    """What is published now, as `NetworkSettings.Ports`."""
    return _port_map(container, engine.networks.inspect(container.id) if container.phase.alive else None)


def _port_map(container: Container, sandbox: Sandbox | None) -> Shape:
    if sandbox is None:
        return {}
    found: dict[str, list[Shape] | None] = dict.fromkeys(sorted(container.settings.config.exposed_ports))
    for port in sandbox.ports:
        entries = found.get(f"{port.container_port}/{port.proto}") or []
        entries.append({"HostIp": port.host_ip, "HostPort": str(port.host_port or "")})
        found[f"{port.container_port}/{port.proto}"] = entries
    return found


async def sizes(engine: Engine, container: Container) -> Shape:
    """Bytes of the container's own files, and of those with the image's."""
    own = await asyncio.to_thread(written, engine.paths.folder(container.id) / "diff")
    below = sum(engine.images.layers.get(layer).size for layer in container.layers)
    return {"SizeRw": own, "SizeRootFs": own + below}
