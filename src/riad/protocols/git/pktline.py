"""pkt-lines (gitprotocol-common(5)), as far as a push has to be understood: what the client asks for, and git's report.

Pure: bytes in, values out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from riad.forge.model import RefUpdate
from riad.kernel.faults import Fault, Kind, invalid

MOST_COMMANDS = 8 * 1024 * 1024
"""Bytes of commands (about 80 000 refs) that one push may hold."""

_COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0\n]+)")


def packet(payload: bytes) -> bytes:
    return b"%04x%b" % (len(payload) + 4, payload)


FLUSH = b"0000"


@dataclass(frozen=True, slots=True)
class Commands:
    """The head of a push: what the client wants of which refs, and what it can do."""

    updates: tuple[RefUpdate, ...]
    capabilities: frozenset[str]
    options: tuple[str, ...] = ()
    """`git push -o …`"""

    @property
    def sideband(self) -> bool:
        return "side-band-64k" in self.capabilities


def refusal(commands: Commands, reason: str) -> bytes:
    """The report of a push of which nothing is done: git names each ref with the reason."""
    lines = [b"unpack ok\n", *(f"ng {update.ref} {reason}\n".encode() for update in commands.updates)]
    report = b"".join(map(packet, lines)) + FLUSH
    return packet(b"\1" + report) + FLUSH if commands.sideband else report


class CommandReader:
    """Takes the request's bytes until the flush that ends its commands, and the one that ends its push options where
    it has said that there are some. `commands` is None until then."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._at = 0
        self._updates: list[RefUpdate] = []
        self._capabilities: frozenset[str] = frozenset()
        self._options: list[str] | None = None
        """Not None while they are read."""
        self.commands: Commands | None = None

    @property
    def seen(self) -> bytes:
        """Everything fed so far, to be passed on to git."""
        return bytes(self._seen)

    def feed(self, data: bytes) -> None:
        """Raises INVALID for what is no push, EXHAUSTED where it holds too many commands."""
        self._seen += data
        while self.commands is None and (line := self._next()) is not None:
            if line == b"":
                self._flushed()
            elif self._options is not None:
                self._options.append(line.removesuffix(b"\n").decode(errors="replace"))
            else:
                self._take(line)
        if self.commands is None and len(self._seen) > MOST_COMMANDS:
            raise Fault(Kind.EXHAUSTED, "this push changes too many refs at once; push them in several parts")

    def _flushed(self) -> None:
        if self._options is None and self._updates and "push-options" in self._capabilities:
            self._options = []
        else:
            self.commands = Commands(tuple(self._updates), self._capabilities, tuple(self._options or ()))

    def _next(self) -> bytes | None:
        """The next line's payload; empty for the flush; None where more bytes are needed."""
        head = bytes(self._seen[self._at : self._at + 4])
        if len(head) < 4:
            return None
        length = _length(head)
        if length == 0:
            self._at += 4
            return b""
        if length <= 4:
            raise invalid("this is not a push: an empty command")
        if len(self._seen) < self._at + length:
            return None
        payload = bytes(self._seen[self._at + 4 : self._at + length])
        self._at += length
        return payload

    def _take(self, line: bytes) -> None:
        command, _, capabilities = line.partition(b"\0")
        if not self._updates and capabilities:
            self._capabilities = frozenset(capabilities.decode(errors="replace").split())
        if command.startswith(b"shallow "):
            return
        found = _COMMAND.fullmatch(command.rstrip(b"\n"))
        if found is None:
            raise invalid("this is not a push that Riad understands (signed pushes are not supported)")
        before, after, ref = found.groups()
        name = ref.decode(errors="surrogateescape")
        if not name.isprintable():
            raise invalid("a ref's name has to be UTF-8 text without control characters")
        self._updates.append(RefUpdate(ref=name, before=before.decode(), after=after.decode()))


def _length(head: bytes) -> int:
    try:
        return int(head, 16)
    except ValueError:
        raise invalid("this is not a push: its lines have no length") from None


class Answer:
    """Passes git's progress (band 2) through at once, and keeps the rest, the final report, until it may be sent."""

    def __init__(self, *, sideband: bool) -> None:
        self._sideband = sideband
        self._pending = bytearray()
        self._report = bytearray()
        self.held = bytearray()

    def feed(self, data: bytes) -> bytes:
        """What may be sent now."""
        if not self._sideband:
            self.held += data
            self._report += data
            return b""
        self._pending += data
        passed = bytearray()
        while len(self._pending) >= 4:
            length = max(_length(bytes(self._pending[:4])), 4)
            if len(self._pending) < length:
                break
            whole, payload = bytes(self._pending[:length]), bytes(self._pending[4:length])
            del self._pending[:length]
            if payload[:1] == b"\2":
                passed += whole
            else:
                self.held += whole
                self._report += payload[1:] if payload[:1] == b"\1" else b""
        return bytes(passed)

    def remarks(self, lines: tuple[str, ...]) -> bytes:
        """Lines that git shows after `remote: `; nothing where the client cannot take them."""
        if not self._sideband or not lines:
            return b""
        text = "".join(f"{line}\n" for line in ("", *lines, ""))
        return packet(b"\2" + text.encode())

    def accepted(self) -> frozenset[str] | None:
        """The refs that git reports as done; None where there is no whole report."""
        refs: set[str] = set()
        rest = bytes(self._report)
        unpacked = False
        while len(rest) >= 4:
            length = _length(rest[:4])
            if length == 0:
                return frozenset(refs) if unpacked else None
            if length < 4 or len(rest) < length:
                return None
            line = rest[4:length].rstrip(b"\n")
            rest = rest[length:]
            unpacked = unpacked or line.startswith(b"unpack ")
            if line.startswith(b"ok "):
                refs.add(line[3:].decode(errors="surrogateescape"))
        return None
