"""A container in the short form of `ps`."""

from __future__ import annotations

from datetime import datetime

from riad.engine.containers.create import network_mode
from riad.engine.containers.engine import Engine
from riad.engine.containers.health_record import STARTING, Health
from riad.engine.containers.model import Container, Phase
from riad.engine.dockerapi.container_shapes.parts import docker_status, endpoint_shapes, health_of, mount_shapes
from riad.engine.dockerapi.wire import Shape


def list_shape(engine: Engine, container: Container, *, now: datetime) -> Shape:
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.settings.image,
        "ImageID": container.image_id,
        "Command": " ".join(_quoted(word) for word in container.command),
        "Created": int(container.created.timestamp()),
        "Ports": _ports(engine, container),
        "Labels": dict(container.labels),
        "State": docker_status(container.phase),
        "Status": status_text(container, health_of(engine, container), now=now),
        "HostConfig": {"NetworkMode": network_mode(container.settings.host)},
        "NetworkSettings": {
            "Networks": endpoint_shapes(
                engine, container, engine.networks.inspect(container.id) if container.phase.alive else None
            )
        },
        "Mounts": mount_shapes(container),
    }


def _quoted(word: str) -> str:
    return f"'{word}'" if any(char in word for char in " \t\n") else word


def _ports(engine: Engine, container: Container) -> list[Shape]:
    sandbox = engine.networks.inspect(container.id) if container.phase.alive else None
    if sandbox is None:
        return []
    found: list[Shape] = [
        {
            "IP": p.host_ip,
            "PrivatePort": p.container_port,
            **({"PublicPort": p.host_port} if p.host_port else {}),
            "Type": p.proto,
        }
        for p in sandbox.ports
    ]
    published = {f"{port.container_port}/{port.proto}" for port in sandbox.ports}
    for text in sorted(container.settings.config.exposed_ports - published):
        number, _, proto = text.partition("/")
        if number.isdigit():
            found.append({"PrivatePort": int(number), "Type": proto or "tcp"})
    return found


def status_text(container: Container, health: Health | None = None, *, now: datetime) -> str:
    """`Up 3 seconds`, `Exited (0) 2 minutes ago`, as `docker ps` prints it."""
    run = container.run
    match container.phase:
        case Phase.RUNNING | Phase.PAUSED:
            since = human_duration((now - (run.started_at or now)).total_seconds())
            if container.phase is Phase.PAUSED:
                return f"Up {since} (Paused)"
            verdict = health.verdict.status if health else ""
            return f"Up {since}" + (f" ({'health: ' * (verdict == STARTING)}{verdict})" if verdict else "")
        case Phase.RESTARTING:
            return f"Restarting ({run.exit_code}) {_ago(run.finished_at, now)}"
        case Phase.EXITED:
            return f"Exited ({run.exit_code}) {_ago(run.finished_at, now)}"
        case Phase.REMOVING:
            return "Removal In Progress"
        case Phase.CREATED | Phase.STARTING:
            return "Created"


def _ago(at: datetime | None, now: datetime) -> str:
    return f"{human_duration((now - (at or now)).total_seconds())} ago"


def human_duration(seconds: float) -> str:
    """
    >>> human_duration(0.5), human_duration(90), human_duration(7200), human_duration(86400 * 15)
    ('Less than a second', 'About a minute', '2 hours', '2 weeks')
    """
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = round(seconds / 3600)
    if hours == 1:
        return "About an hour"
    for limit, size, unit in (
        (48, 1, "hours"),
        (24 * 14, 24, "days"),
        (24 * 60, 168, "weeks"),
        (24 * 730, 720, "months"),
    ):
        if hours < limit:
            return f"{hours // size} {unit}"
    return f"{hours // 8760} years"
