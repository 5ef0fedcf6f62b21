"""Reading `--publish` as the docker command does: [IP:][HOST:]PORT[/PROTO], with ranges. Pure."""

from __future__ import annotations

import re

from riad.kernel.faults import invalid

_SPEC = re.compile(
    r"(?:(?:(?P<six>\[[0-9a-fA-F:.]*\])|(?P<four>[0-9.]*)):)??(?:(?P<host>[0-9-]*):)?(?P<port>[0-9]+(?:-[0-9]+)?)"
    r"(?:/(?P<proto>[a-z]+))?"
)


def read_publish(text: str) -> list[tuple[str, dict[str, str]]]:
    """`80/tcp` with HostIp and HostPort, one per container port. Raises INVALID."""
    found = _SPEC.fullmatch(text)
    if found is None:
        raise invalid(f"invalid containerPort: {text}: expected [IP:][HOST:]PORT[/PROTO], such as 127.0.0.1:8080:80")
    address = (found["six"] or found["four"] or "").strip("[]")
    proto = found["proto"] or "tcp"
    ports = _range(found["port"], text)
    host = found["host"] or ""
    if not host or len(ports) == 1:
        if host:
            _range(host, text)
        return [(f"{port}/{proto}", {"HostIp": address, "HostPort": host}) for port in ports]
    hosts = _range(host, text)
    if len(hosts) != len(ports):
        raise invalid(f"invalid ranges specified for container and host Ports: {found['port']} and {host}")
    return [
        (f"{port}/{proto}", {"HostIp": address, "HostPort": str(number)})
        for port, number in zip(ports, hosts, strict=True)
    ]


def _range(text: str, whole: str) -> range:
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise invalid(f"invalid port specification: {whole}")
    start, end = int(first), int(last or first)
    if not 0 < start <= end < 65536:
        raise invalid(f"invalid port specification: {whole}: ports are 1 to 65535, the smaller first")
    return range(start, end + 1)
