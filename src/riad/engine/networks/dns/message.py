"""DNS messages, as much as a resolver of container names needs (RFC 1035, RFC 6891). Pure.

Only the header and the one question of a query are read. What follows (EDNS options) is neither needed for our own
answers nor changed in what is forwarded. Strangers' bytes: anything odd raises `NotAQueryError`, nothing else.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

_HEADER = struct.Struct("!HHHHHH")
_TAIL = struct.Struct("!HH")

_RESPONSE, _OPCODE, _AUTHORITATIVE, _DESIRED, _AVAILABLE, _TRUNCATED = 0x8000, 0x7800, 0x0400, 0x0100, 0x0080, 0x0200
_NAME_OF_QUESTION = 0xC000 | _HEADER.size
_IN = 1
TTL = 5
"""Seconds; short, because a restarted container has another address."""

LARGEST_DATAGRAM = 512
"""What every client takes by UDP, whether it knows EDNS or not."""


class NotAQueryError(ValueError):
    """Not a query that anybody can answer."""


class Type(enum.IntEnum):
    A = 1
    PTR = 12
    AAAA = 28


class Code(enum.IntEnum):
    OK = 0
    FORMAT_ERROR = 1
    SERVER_FAILURE = 2
    NO_SUCH_NAME = 3
    NOT_IMPLEMENTED = 4
    REFUSED = 5


@dataclass(frozen=True, slots=True)
class Query:
    """`name` is in lower case without the last dot; `question` the question's bytes as they came."""

    id: int
    flags: int
    name: str
    type: int
    is_internet: bool
    question: bytes

    @property
    def is_plain(self) -> bool:
        """A standard query; not a notification, update or the like."""
        return self.flags & _OPCODE == 0


def parse_query(data: bytes) -> Query:
    """Raises NotAQueryError."""
    if len(data) < _HEADER.size:
        raise NotAQueryError("shorter than a header")
    number, flags, questions, *_ = _HEADER.unpack_from(data)
    if flags & _RESPONSE:
        raise NotAQueryError("a response, not a query")
    if questions != 1:
        raise NotAQueryError(f"{questions} questions")
    labels, end = _labels(data, _HEADER.size)
    if end + _TAIL.size > len(data):
        raise NotAQueryError("the question is cut off")
    kind, family = _TAIL.unpack_from(data, end)
    name = b".".join(labels).decode("ascii", "replace").lower()
    return Query(number, flags, name, kind, family == _IN, data[_HEADER.size : end + _TAIL.size])


def addresses(query: Query, found: Sequence[IPv4Address | IPv6Address]) -> bytes:
    """The answer with these addresses; empty where `found` is (the name exists, but not with the type asked for)."""
    kinds = {4: Type.A, 6: Type.AAAA}
    records = b"".join(_record(kinds[address.version], address.packed) for address in found)
    return _head(query, Code.OK, answers=len(found)) + query.question + records


def pointer(query: Query, name: str) -> bytes:
    encoded = b"".join(bytes([len(part)]) + part for part in name.encode().split(b".")) + b"\0"
    return _head(query, Code.OK, answers=1) + query.question + _record(Type.PTR, encoded)


def failure(query: Query, code: Code) -> bytes:
    return _head(query, code, answers=0) + query.question


def format_error(data: bytes) -> bytes | None:
    """What to say to bytes that are no query; None where they are too short, or a response, to say anything."""
    if len(data) < _HEADER.size:
        return None
    number, flags, *_ = _HEADER.unpack_from(data)
    if flags & _RESPONSE:
        return None
    return _HEADER.pack(number, _RESPONSE | Code.FORMAT_ERROR, 0, 0, 0, 0)


def with_id(data: bytes, number: int) -> bytes:
    return struct.pack("!H", number) + data[2:]


def answers_to(query: Query, number: int, data: bytes) -> bool:
    """Whether `data` is a response to `query` as it was forwarded under `number`: id and question are the same."""
    if len(data) < _HEADER.size:
        return False
    got, flags, questions, *_ = _HEADER.unpack_from(data)
    if got != number or not flags & _RESPONSE:
        return False
    asked = query.question.lower()  # some servers change the case of what they repeat
    return questions == 0 or data[_HEADER.size : _HEADER.size + len(asked)].lower() == asked


def shortened(query: Query) -> bytes:
    """Tells a client that asked by UDP to come back by TCP."""
    head = bytearray(failure(query, Code.OK))
    flags = int.from_bytes(head[2:4], "big") | _TRUNCATED
    head[2:4] = flags.to_bytes(2, "big")
    return bytes(head)


def address_of_pointer(name: str) -> IPv4Address | IPv6Address | None:
    """The address of a name such as 2.0.20.172.in-addr.arpa, or of 32 digits before ip6.arpa."""
    four, six = name.removesuffix(".in-addr.arpa"), name.removesuffix(".ip6.arpa")
    try:
        if four != name:
            return IPv4Address(".".join(reversed(four.split("."))))
        if six != name and len(six) == 63:
            return IPv6Address(bytes.fromhex("".join(reversed(six.split(".")))))
    except ValueError:
        return None
    return None


def _labels(data: bytes, offset: int) -> tuple[list[bytes], int]:
    labels: list[bytes] = []
    size = 0
    while True:
        if offset >= len(data):
            raise NotAQueryError("the name is cut off")
        length = data[offset]
        if length == 0:
            return labels, offset + 1
        if length > 63:  # compression has no place in a question
            raise NotAQueryError("a label is longer than 63")
        label = data[offset + 1 : offset + 1 + length]
        size += length + 1
        if len(label) < length or size > 254:
            raise NotAQueryError("the name is too long or cut off")
        labels.append(label)
        offset += 1 + length


def _head(query: Query, code: Code, *, answers: int) -> bytes:
    flags = _RESPONSE | query.flags & (_OPCODE | _DESIRED) | _AVAILABLE | code
    if code in (Code.OK, Code.NO_SUCH_NAME):
        flags |= _AUTHORITATIVE
    return _HEADER.pack(query.id, flags, 1, answers, 0, 0)


def _record(kind: Type, data: bytes) -> bytes:
    return struct.pack("!H", _NAME_OF_QUESTION) + struct.pack("!HHIH", kind, _IN, TTL, len(data)) + data
