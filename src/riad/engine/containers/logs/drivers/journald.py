"""Delivery to systemd's journal over its native protocol: one datagram a message (systemd.io/JOURNAL_NATIVE_PROTOCOL).

A field is `NAME=value` and a line feed, or, where the value holds line feeds, `NAME`, a line feed, the value's length
as 64 bits little-endian, the value and a line feed.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from struct import pack

from riad.engine.containers.logs import attributes
from riad.engine.containers.logs.attributes import Subject
from riad.engine.containers.logs.drivers import Message
from riad.kernel.faults import unavailable

SOCKET = Path("/run/systemd/journal/socket")
_ODD = re.compile(r"[^A-Z0-9]")
_INFO, _ERROR = "6", "3"


class Journal:
    def __init__(self, options: Mapping[str, str], subject: Subject, *, path: Path = SOCKET) -> None:
        self._fields = fields(options, subject)
        self._path = path
        self._socket: socket.socket | None = None

    async def open(self) -> None:
        if not self._path.is_socket():
            raise unavailable(f"journald is not enabled on this host: there is no {self._path}")

    async def send(self, messages: Sequence[Message]) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        for message in messages:
            data = datagram(self._fields, message)
            await asyncio.get_running_loop().sock_sendto(self._socket, data, str(self._path))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def fields(options: Mapping[str, str], subject: Subject) -> dict[str, str]:
    """What every message of the container says of it; pure."""
    tag = attributes.tag(options, subject, default=attributes.DEFAULT_TAG)
    known = {
        "CONTAINER_ID": subject.id[:12],
        "CONTAINER_ID_FULL": subject.id,
        "CONTAINER_NAME": subject.name,
        "CONTAINER_TAG": tag,
        "IMAGE_NAME": subject.image,
        "SYSLOG_IDENTIFIER": tag,
    }
    return known | {field_name(key): value for key, value in attributes.chosen_of(options, subject).items()}


def field_name(text: str) -> str:
    """A label's or variable's name as the journal takes it: capitals, digits and, not first, `_`. Pure."""
    return _ODD.sub("_", text.upper()).lstrip("_")


def datagram(known: Mapping[str, str], message: Message) -> bytes:
    """The message for the socket; pure."""
    seconds, rest = divmod(message.moment, 10**9)
    at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09}Z"
    extra = {"PRIORITY": _ERROR if message.stderr else _INFO, "SYSLOG_TIMESTAMP": at}
    if message.partial:
        extra["CONTAINER_PARTIAL_MESSAGE"] = "true"
    values = {**known, **extra}
    return _field("MESSAGE", message.text) + b"".join(_field(key, value.encode()) for key, value in values.items())


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"
