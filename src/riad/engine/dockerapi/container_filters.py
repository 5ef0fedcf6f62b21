"""The filters of `docker ps` and `docker container prune`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container
from riad.engine.dockerapi.container_shapes.parts import docker_status, health_of
from riad.engine.dockerapi.filters import Filters, has_label
from riad.engine.dockerapi.wire import parse_moment
from riad.kernel.faults import Fault, invalid

LIST = frozenset(
    [
        "ancestor",
        "before",
        "exited",
        "expose",
        "health",
        "id",
        "is-task",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    ]
)
PRUNE = frozenset({"label", "label!", "until"})
_STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH = ("none", "starting", "healthy", "unhealthy")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def selection(engine: Engine, filters: Filters) -> Callable[[Container], bool]:
    """A predicate for all filters at once. Raises INVALID, and NOT_FOUND for an unknown `before` or `since`."""
    for status in filters.get("status"):
        if status not in _STATUSES:
            raise invalid(f"invalid filter 'status={status}'")
    for status in filters.get("health"):
        if status not in _HEALTH:
            raise invalid(f"unrecognized filter value for health: {status}")
    names = [_pattern(text) for text in filters.get("name")]
    before = [engine.registry.find(reference).created for reference in filters.get("before")]
    since = [engine.registry.find(reference).created for reference in filters.get("since")]
    ancestors = _ancestors(engine, filters)
    exited = [_number(text) for text in filters.get("exited")]
    ports = {name: [_port(text) for text in filters.get(name)] for name in ("publish", "expose")}

    def wanted(container: Container) -> bool:
        return (
            (not names or any(name.search(container.name) or name.search("/" + container.name) for name in names))
            and (not filters.get("id") or any(container.id.startswith(text) for text in filters.get("id")))
            and filters.labels(container.labels)
            and filters.exact("status", docker_status(container.phase))
            and (not exited or (container.run.finished_at is not None and container.run.exit_code in exited))
            and all(container.created < at for at in before)
            and all(container.created > at for at in since)
            and (ancestors is None or container.image_id in ancestors or container.settings.image in ancestors)
            and filters.exact("health", health_status(engine, container))
            and filters.flag("is-task") is not True
            and _on_network(engine, container, filters)
            and _with_volume(container, filters)
            and all(_has_port(engine, container, name, wishes) for name, wishes in ports.items())
        )

    return wanted


def health_status(engine: Engine, container: Container) -> str:
    health = health_of(engine, container)
    return health.verdict.status if health else "none"


def prunable(filters: Filters, *, now: datetime) -> Callable[[Container], bool]:
    until = [_until(text, now) for text in filters.get("until")]

    def wanted(container: Container) -> bool:
        return (
            filters.labels(container.labels)
            and not any(has_label(container.labels, text) for text in filters.get("label!"))
            and all(container.created < at for at in until)
        )

    return wanted


def _until(text: str, now: datetime) -> datetime:
    found = _DURATION.findall(text)
    if found and "".join(number + unit for number, unit in found) == text:
        return now - timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in found))
    return parse_moment(text, name="until") or now


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise invalid(f"invalid filter 'name={text}': {error}") from None


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid(f"invalid filter 'exited={text}'") from None


def _ancestors(engine: Engine, filters: Filters) -> set[str] | None:
    if "ancestor" not in filters:
        return None
    found = set()
    for text in filters.get("ancestor"):
        try:
            found.add(str(engine.images.get(text).id))
        except Fault:
            found.add(text)
    return found


def _on_network(engine: Engine, container: Container, filters: Filters) -> bool:
    if "network" not in filters:
        return True
    for name in container.settings.networks:
        try:
            network = engine.networks.get(name)
        except Fault:
            continue
        if any(text == network.name or network.id.startswith(text) for text in filters.get("network")):
            return True
    return False


def _with_volume(container: Container, filters: Filters) -> bool:
    have = {place for mount in container.mounts for place in (mount.volume, mount.target, mount.source) if place}
    return "volume" not in filters or any(text in have for text in filters.get("volume"))


def _port(text: str) -> tuple[int, int, str]:
    numbers, _, proto = text.partition("/")
    first, _, last = numbers.partition("-")
    try:
        return int(first), int(last or first), proto or "tcp"
    except ValueError:
        raise invalid(f"invalid filter: port {text!r}") from None


def _has_port(engine: Engine, container: Container, name: str, wishes: list[tuple[int, int, str]]) -> bool:
    if not wishes:
        return True
    have: set[tuple[int, str]] = set()
    if name == "expose":
        have = {(port.container_port, port.proto) for port in container.settings.host.ports}
        for text in container.settings.config.exposed_ports:
            number, _, proto = text.partition("/")
            have.add((int(number), proto or "tcp"))
    else:
        sandbox = engine.networks.inspect(container.id)
        have = {(port.host_port, port.proto) for port in sandbox.ports} if sandbox else set()
    return any(first <= number <= last and proto == kind for first, last, proto in wishes for number, kind in have)
