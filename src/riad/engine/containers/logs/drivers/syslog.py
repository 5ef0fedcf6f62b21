"""Delivery to a syslog daemon: BSD syslog (RFC 3164) and RFC 5424 over UDP, TCP and unix sockets.

Over UDP what does not arrive is lost, as always there. Over TCP a message ends with a line feed (RFC 6587, 3.4.2).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from riad.engine.containers.logs import attributes
from riad.engine.containers.logs.attributes import Subject
from riad.engine.containers.logs.drivers import Message
from riad.kernel.faults import Fault, Kind, invalid

_NAMES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
_FACILITIES = {name: number for number, name in enumerate(_NAMES)} | {f"local{n}": 16 + n for n in range(8)}
_LOCAL = ("/dev/log", "/var/run/syslog", "/var/run/log")
FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_SCHEMES = ("udp", "tcp", "unix", "unixgram")
_ERROR, _INFO = 3, 6
_DEADLINE = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """`scheme` is udp, tcp, unix or unixgram; empty is the host's own syslog. `place` is a path or a host."""

    scheme: str = ""
    place: str = ""
    port: int = 514
    facility: int = 3
    form: str = ""


def read_target(options: Mapping[str, str]) -> Target:
    """Raises INVALID with Docker's sentences, UNSUPPORTED for TLS."""
    form = options.get("syslog-format", "")
    if form not in FORMATS:
        raise invalid(f"invalid syslog format: {form}; use {', '.join(FORMATS[1:])}")
    scheme, place, port = _address(options.get("syslog-address", ""))
    return Target(scheme, place, port, _facility(options.get("syslog-facility", "")), form)


def _address(text: str) -> tuple[str, str, int]:
    if not text:
        return "", "", 0
    scheme, separator, _ = text.partition("://")
    if scheme == "tcp+tls":
        raise Fault(Kind.UNSUPPORTED, f"syslog-address {text}: this engine does not send logs over TLS; use tcp://")
    if not separator or scheme not in _SCHEMES:
        raise invalid(f"syslog-address should be in form proto://address, got {text}")
    try:
        parts = urlsplit(text)
        if scheme.startswith("unix"):
            place, port = parts.path, 0
        else:
            place, port = parts.hostname or "", parts.port or 514
    except ValueError as error:
        raise invalid(f"syslog-address {text}: {error}") from None
    if not place:
        raise invalid(f"syslog-address should be in form proto://address, got {text}")
    return scheme, place, port


def _facility(text: str) -> int:
    if text in _FACILITIES:
        return _FACILITIES[text]
    if text.isascii() and text.isdigit() and int(text) <= 23:
        return int(text)
    if text:
        raise invalid(f"invalid syslog facility: {text}")
    return _FACILITIES["daemon"]


def render(target: Target, message: Message, *, tag: str, hostname: str, pid: int) -> bytes:
    """One message as it goes over the wire, with its line feed; pure."""
    priority = target.facility * 8 + (_ERROR if message.stderr else _INFO)
    at = datetime.fromtimestamp(message.moment // 10**9, UTC).astimezone()
    old = f"{at:%b} {at.day:2} {at:%H:%M:%S}"
    match target.form:
        case "rfc3164":
            head = f"<{priority}>{old} {hostname} {tag}[{pid}]: "
        case "rfc5424" | "rfc5424micro":
            micro = f".{message.moment % 10**9 // 1000:06}" if target.form == "rfc5424micro" else ""
            zone = f"{at:%z}" or "+0000"
            stamp = f"{at:%Y-%m-%dT%H:%M:%S}{micro}{zone[:3]}:{zone[3:5]}"
            head = f"<{priority}>1 {stamp} {hostname} {tag} {pid} {tag} - "
        case _:
            head = f"<{priority}>{old} {tag}[{pid}]: "
    return head.encode() + message.text + b"\n"


class Syslog:
    def __init__(self, options: Mapping[str, str], subject: Subject) -> None:
        self._target = read_target(options)
        self._tag = attributes.tag(options, subject, default=attributes.DEFAULT_TAG)
        self._socket: socket.socket | None = None

    async def open(self) -> None:
        if self._socket is None:
            self._socket = await _connected(self._target)

    async def send(self, messages: Sequence[Message]) -> None:
        await self.open()
        assert self._socket is not None
        hostname, pid = socket.gethostname(), os.getpid()
        lines = [render(self._target, message, tag=self._tag, hostname=hostname, pid=pid) for message in messages]
        loop = asyncio.get_running_loop()
        try:
            if self._socket.type == socket.SOCK_STREAM:
                await loop.sock_sendall(self._socket, b"".join(lines))
                return
            for line in lines:
                try:
                    await loop.sock_sendall(self._socket, line)
                except ConnectionRefusedError:
                    if self._target.scheme != "udp":
                        raise
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


async def _connected(target: Target) -> socket.socket:
    """Raises OSError that names the place."""
    failed = OSError("Unix syslog delivery error: no local syslog socket")
    for family, kind, address in await _candidates(target):
        connection = socket.socket(family, kind)
        connection.setblocking(False)
        try:
            async with asyncio.timeout(_DEADLINE):
                await asyncio.get_running_loop().sock_connect(connection, address)
            return connection
        except OSError as error:  # a deadline that passed is one, too
            connection.close()
            failed = OSError(f"dial {target.scheme or 'unix'} {address}: {error}")
    raise failed


async def _candidates(target: Target) -> list[tuple[int, int, Any]]:
    unix, datagram, stream = socket.AF_UNIX, socket.SOCK_DGRAM, socket.SOCK_STREAM
    match target.scheme:
        case "":
            return [(unix, kind, path) for path in _LOCAL if os.path.exists(path) for kind in (datagram, stream)]
        case "unix":
            return [(unix, stream, target.place), (unix, datagram, target.place)]
        case "unixgram":
            return [(unix, datagram, target.place)]
    kind = datagram if target.scheme == "udp" else stream
    found = await asyncio.get_running_loop().getaddrinfo(target.place, target.port, type=kind)
    return [(family, kind, address) for family, _, _, _, address in found]
