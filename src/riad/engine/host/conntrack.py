"""Forgetting connections of UDP ports (ctnetlink, nfnetlink(7)).

A client that goes on sending keeps its entry alive, and with it where its packets went when the entry was made: to a
container that is gone, or to the host from before a port was published. TCP clients begin anew by themselves.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterator

_NETLINK_NETFILTER = 12
_GET, _DELETE = (1 << 8) | 1, (1 << 8) | 2
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_ORIGINAL, _PROTOCOL, _NUMBER, _DESTINATION_PORT = 1, 2, 1, 3
_HEADER, _FAMILY = struct.Struct("=IHHII"), struct.Struct("=BBH")
_TUPLE_NESTED = 0x8000 | _ORIGINAL


def forget_udp(ports: Collection[int]) -> int:
    """Deletes the entries of UDP packets that were sent to one of `ports`; returns how many. Blocking.

    A kernel that does not track, or does not let itself be asked, has nothing to forget.
    """
    gone = 0
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as asked:
            asked.settimeout(5)
            asked.bind((0, 0))
            for family in (socket.AF_INET, socket.AF_INET6):
                for original in [each for each in _entries(asked, family) if _port(original_of(each)) in ports]:
                    gone += _delete(asked, family, original_of(original))
    except OSError:
        return gone
    return gone


def original_of(entry: bytes) -> bytes:
    """The tuple of an entry's first packet, from its attributes."""
    return next((value for kind, value in _attributes(entry) if kind == _ORIGINAL), b"")


def _port(original: bytes) -> int:
    """The destination port of a UDP tuple; 0 for other protocols."""
    protocol = dict(_attributes(dict(_attributes(original)).get(_PROTOCOL, b"")))
    if protocol.get(_NUMBER, b"\0")[:1] != bytes([socket.IPPROTO_UDP]):
        return 0
    return int.from_bytes(protocol.get(_DESTINATION_PORT, b""), "big")


def _entries(asked: socket.socket, family: int) -> Iterator[bytes]:
    for body in _ask(asked, _GET, _DUMP, _FAMILY.pack(family, 0, 0)):
        yield body[_FAMILY.size :]


def _delete(asked: socket.socket, family: int, original: bytes) -> bool:
    length = 4 + len(original)
    attribute = struct.pack("=HH", length, _TUPLE_NESTED) + original + b"\0" * (-length % 4)
    try:
        for _ in _ask(asked, _DELETE, _ACK, _FAMILY.pack(family, 0, 0) + attribute):
            pass
    except OSError:
        return False  # it has timed out meanwhile
    return True


def _ask(asked: socket.socket, kind: int, flags: int, payload: bytes) -> Iterator[bytes]:
    asked.send(_HEADER.pack(_HEADER.size + len(payload), kind, flags | _REQUEST, 1, 0) + payload)
    while True:
        data, offset = asked.recv(1 << 18), 0
        while offset + _HEADER.size <= len(data):
            length, answer, *_ = _HEADER.unpack_from(data, offset)
            body = data[offset + _HEADER.size : offset + length]
            offset += (max(length, _HEADER.size) + 3) & ~3
            if answer == _DONE:
                return
            if answer == _ERROR:
                code = -struct.unpack_from("=i", body)[0]
                if code:
                    raise OSError(code, "conntrack")
                return
            yield body


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
