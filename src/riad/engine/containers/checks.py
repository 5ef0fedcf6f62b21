"""What a new container may not ask for, pure: wrong values and choices that exclude each other, in Docker's sentences.

Settings are checked as they were asked for, before the image's defaults are filled in: a choice of the image (the ports
it exposes) does not conflict with one of the user.
"""

from __future__ import annotations

from collections.abc import Iterator

from riad.engine.containers.model import HostSettings, Settings
from riad.engine.containers.signals import signal_number
from riad.kernel.faults import invalid
from riad.oci.config import Healthcheck

_MILLISECOND = 1_000_000
_UNDEFINED = "This would result in undefined behavior"


def check(asked: Settings) -> None:
    """Raises INVALID for the first thing that is wrong."""
    _check_config(asked)
    _check_modes(asked.host)
    for conflict in _conflicts(asked):
        raise invalid(f"conflicting options: {conflict}")


def _check_config(asked: Settings) -> None:
    config = asked.config
    if config.working_dir and not config.working_dir.startswith("/"):
        raise invalid(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path")
    if config.stop_signal:
        signal_number(config.stop_signal)
    for entry in config.env:
        if not entry or entry.startswith("="):
            raise invalid(f"invalid environment variable: {entry}")
    if config.healthcheck:
        _check_health(config.healthcheck)
    for port in config.exposed_ports:
        number, _, proto = port.partition("/")
        if not number.isdigit() or not 0 < int(number) < 65536 or proto not in ("", "tcp", "udp", "sctp"):
            raise invalid(f'invalid exposed port "{port}": expected PORT/tcp or PORT/udp')
    if asked.host.auto_remove and asked.host.restart.name != "no":
        raise invalid("can't create 'AutoRemove' container with restart policy")
    if "" in asked.host.annotations:
        raise invalid("invalid Annotations: the empty string is not permitted as an annotation key")


def _check_health(health: Healthcheck) -> None:
    times = (
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    )
    for name, value in times:
        if value and value < _MILLISECOND:
            raise invalid(f"{name} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise invalid("Retries in Healthcheck cannot be negative")
    if health.test and health.test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise invalid(f"Unknown healthcheck type '{health.test[0]}' in healthcheck")


def _check_modes(host: HostSettings) -> None:
    modes = (
        ("IPC", host.ipc_mode, ("", "none", "private", "shareable", "host"), True),
        ("PID", host.pid_mode, ("", "host"), True),
        ("UTS", host.uts_mode, ("", "host"), False),
        ("cgroup namespace", host.cgroupns_mode, ("", "private", "host"), False),
    )
    for name, mode, known, may_join in modes:
        word, _, other = mode.partition(":")
        if mode not in known and not (may_join and word == "container" and other):
            raise invalid(f"invalid {name} mode: {mode}")


def _conflicts(asked: Settings) -> Iterator[str]:
    host = asked.host
    word, separator, other = host.network_mode.partition(":")
    if word == "container" and not (separator and other):
        raise invalid("invalid network mode: invalid container format container:<name|id>")
    if host.uts_mode == "host" and asked.hostname:
        yield "hostname and the UTS mode"
    if word == "host" and host.links:
        yield f"host type networking can't be used with links. {_UNDEFINED}"
    if word in ("host", "container") and (asked.mac or any(wish.mac for wish in asked.networks.values())):
        yield "mac-address and the network mode"
    if word != "container":
        return
    found = (
        (asked.hostname, "hostname and the network mode"),
        (host.links, f"container type network can't be used with links. {_UNDEFINED}"),
        (host.dns, "dns and the network mode"),
        (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (host.ports or host.publish_all, "port publishing and the container type network mode"),
        (asked.config.exposed_ports, "port exposing and the container type network mode"),
    )
    yield from (sentence for given, sentence in found if given)
