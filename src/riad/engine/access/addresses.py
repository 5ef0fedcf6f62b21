"""Where an engine listens, as `-H` and dockerd's TLS flags say it. Pure.

Whoever reaches the engine is root on its host, so TCP is open to holders of a certificate only, or, when that is asked
for by name, to every user and program of this host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from riad.kernel.faults import denied, invalid, unsupported

TLS_PORT, PLAIN_PORT = 2376, 2375


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the authority that clients' certificates come from, and the server's own certificate and key."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class UnixAddress:
    path: Path


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Without `tls` only ever on loopback."""

    host: str
    port: int
    tls: TlsFiles | None


Address = UnixAddress | TcpAddress


@dataclass(frozen=True, slots=True)
class Guard:
    """How TCP is guarded: by TLS files, on loopback by nothing, or (neither) not allowed."""

    tls: TlsFiles | None = None
    insecure_loopback: bool = False


def parse_all(hosts: Sequence[str], guard: Guard) -> list[Address]:
    """Every address of a daemon. Raises as `parse`, and INVALID where the flags for TCP have nothing to guard."""
    found = [parse(host, guard) for host in hosts]
    if (guard.tls or guard.insecure_loopback) and not any(isinstance(address, TcpAddress) for address in found):
        flag = "--tlsverify" if guard.tls else "--insecure-loopback"
        raise invalid(f"{flag} guards TCP, and no --host tcp://HOST:PORT is given; add one, or leave {flag} out")
    return found


def parse(host: str, guard: Guard) -> Address:
    """unix:///PATH or tcp://HOST[:PORT]. Raises INVALID, UNSUPPORTED for other schemes, DENIED for open TCP."""
    if host.startswith(("fd://", "npipe://")):
        raise unsupported(
            f"--host {host}: sockets handed over by systemd or Windows pipes are not supported; use unix:///PATH"
        )
    if host.startswith("tcp://"):
        return _tcp(host, guard)
    path = Path(host.removeprefix("unix://"))
    if not host.startswith("unix://") or not path.is_absolute():
        raise invalid(f"--host {host}: expected unix:///PATH or tcp://HOST:PORT")
    return UnixAddress(path)


def _tcp(text: str, guard: Guard) -> TcpAddress:
    try:
        parts = urlsplit(text)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        raise invalid(f"--host {text}: expected tcp://HOST:PORT") from None
    if not name or parts.path not in ("", "/") or parts.query or parts.username is not None:
        raise invalid(f"--host {text}: expected tcp://HOST:PORT")
    if guard.tls is not None:
        return TcpAddress(name, TLS_PORT if port is None else port, guard.tls)
    if guard.insecure_loopback and is_loopback(name):
        return TcpAddress(name, PLAIN_PORT if port is None else port, None)
    if guard.insecure_loopback:
        raise denied(
            f"--host {text}: --insecure-loopback opens loopback addresses only; use tcp://127.0.0.1:{PLAIN_PORT}, or "
            "--tlsverify with certificates"
        )
    raise denied(
        f"--host {text}: who reaches this port is root on this host. Use --tlsverify --tlscacert ca.pem --tlscert "
        "server-cert.pem --tlskey server-key.pem (`riad engine certs DIR` makes them), or on loopback "
        "--insecure-loopback"
    )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
