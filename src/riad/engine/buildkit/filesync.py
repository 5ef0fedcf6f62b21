"""Receiving a folder from a client: FileSync/DiffCopy (tonistiigi/fsutil: send.go, receive.go, types/wire.proto).

The client announces every entry with its attributes, in order, numbered from 0; an empty announcement ends the list. We
ask for the contents we lack by number, get them in pieces of which an empty one is the last, and finish; the client
answers with the same. An entry announced in the very bytes of an earlier build is taken as it was then, unread.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from riad.engine.build.received import EMPTY, Content, Entry, Folders, Pack
from riad.engine.build.tree import Kind, Node
from riad.engine.buildkit.grpc import Client
from riad.engine.buildkit.http2 import Headers, Stream
from riad.engine.buildkit.messages.session import Packet, PacketType, Stat
from riad.engine.buildkit.protobuf import Malformed, decode, encode
from riad.kernel.faults import invalid

_PATH = "/moby.filesync.v1.FileSync/DiffCopy"
_LARGE = 4 * 2**20
_DIRECTORY, _LINK, _DEVICE, _PIPE, _SOCKET = 1 << 31, 1 << 27, 1 << 26, 1 << 25, 1 << 24
_SETUID, _SETGID, _CHARACTER, _STICKY, _IRREGULAR = 1 << 23, 1 << 22, 1 << 21, 1 << 20, 1 << 19
_KINDS = _DIRECTORY | _LINK | _DEVICE | _PIPE | _SOCKET | _CHARACTER | _IRREGULAR
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the client's folder `name` is wanted. Patterns as in .dockerignore; `follow` are paths with wildcards.

    What is `passing` is not remembered for later builds: a Dockerfile, an ignore file.
    """

    name: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    passing: bool = False

    def metadata(self) -> Headers:
        found: Headers = [("dir-name", self.name)]
        lists = {"include-patterns": self.include, "exclude-patterns": self.exclude, "followpaths": self.follow}
        for key, values in lists.items():
            coded = not all(value.isascii() for value in values)
            found += [(key, quote_plus(value) if coded else value) for value in values]
            found += [(f"{key}-encoded", "1")] if coded else []
        return found


@dataclass(frozen=True, slots=True)
class Received:
    """The folder's entries by path, how many there are, and the bytes that had to come."""

    entries: dict[str, Entry]
    transferred: int


async def receive(client: Client, selection: Selection, folders: Folders, key: str) -> Received:
    """Brings what is known of the folder `key` up to date. Raises CallFailed, Gone, INVALID for what cannot be."""
    stream = await client.start(_PATH, selection.metadata())
    transfer = _Transfer(stream, folders, folders.known(key))
    try:
        await transfer.run()
    except BaseException:
        transfer.drop()
        await client.abandon(stream)
        raise
    await client.result(stream)
    transfer.keep()
    folders.remember(key, transfer.merged(), changed=transfer.news)
    entries = {"": Entry(Node("", Kind.DIRECTORY, 0o755)), **{e.node.path: e for e in transfer.found.values()}}
    return Received(_with_twins(entries), transfer.transferred)


@dataclass(slots=True)
class _Incoming:
    """A file whose content is under way; a large one goes to a pack of its own as it comes."""

    raw: bytes
    node: Node
    xattrs: dict[str, bytes]
    pieces: list[bytes] = field(default_factory=list)
    own: Pack | None = None
    state: hashlib._Hash = field(default_factory=hashlib.sha256)
    size: int = 0


class _Transfer:
    def __init__(self, stream: Stream, folders: Folders, known: dict[bytes, Entry]) -> None:
        self._stream = stream
        self._folders = folders
        self._known = known
        self._pack: Pack | None = None
        self._packs: list[Pack] = []
        self._incoming: dict[int, _Incoming] = {}
        self._wanted: list[int] = []
        self._count = 0
        self._listed = False
        self._finished = False
        self.found: dict[bytes, Entry] = {}
        self.transferred = 0
        self.news = False

    async def run(self) -> None:
        while True:
            messages = await self._stream.receive_some()
            if not messages:
                raise invalid("the client ended the transfer of its files too early")
            for message in messages:
                entry = self._known.get(message)
                if entry is not None and not self._listed:
                    self.found[message] = entry
                    self._count += 1
                elif self._take(message):
                    return
            await self._ask()
            if self._listed and not self._incoming and not self._finished:
                self._finished = True
                await self._stream.send(encode(Packet(PacketType.FINISHED)))
                await self._stream.finish()

    def merged(self) -> dict[bytes, Entry]:
        """With what earlier builds knew of paths that this one did not ask for, within reason."""
        if not self.news and len(self.found) == len(self._known):
            return self._known
        paths = {entry.node.path for entry in self.found.values()}
        if len(self._known) > 4 * len(self.found) + 20_000:
            return self.found
        return {**{raw: e for raw, e in self._known.items() if e.node.path not in paths}, **self.found}

    def keep(self) -> None:
        for pack in self._packs:
            pack.keep()

    def drop(self) -> None:
        for pack in self._packs:
            pack.drop()

    def _take(self, message: bytes) -> bool:
        """True when the client has nothing more to say."""
        try:
            packet = decode(Packet, message)
        except Malformed as error:
            raise invalid(f"the client's files: {error}") from None
        if packet.type == PacketType.STAT:
            self._announced(message, packet.stat)
        elif packet.type == PacketType.DATA:
            self._arrived(packet.id, packet.data)
        elif packet.type == PacketType.ERROR:
            raise invalid(f"error from sender: {packet.data.decode(errors='replace')}")
        return packet.type == PacketType.FINISHED

    def _announced(self, raw: bytes, attributes: Stat | None) -> None:
        if attributes is None:
            self._listed = True
            return
        number, self._count = self._count, self._count + 1
        node = _node(attributes)
        self.news = True
        if node.kind is Kind.FILE and not node.twin and attributes.size:
            self._incoming[number] = _Incoming(raw, node, dict(attributes.xattrs))
            self._wanted.append(number)
            return
        content = Content(EMPTY) if node.kind is Kind.FILE and not node.twin else None
        self.found[raw] = Entry(node, content, attributes.xattrs)

    async def _ask(self) -> None:
        while self._wanted:
            some, self._wanted = self._wanted[:_AT_ONCE], self._wanted[_AT_ONCE:]
            await self._stream.send(*(encode(Packet(PacketType.REQUEST, id=number)) for number in some))

    def _arrived(self, number: int, piece: bytes) -> None:
        incoming = self._incoming.get(number)
        if incoming is None:
            raise invalid(f"the client sent a file that nobody asked for ({number})")
        if not piece:
            del self._incoming[number]
            self._complete(incoming)
            return
        incoming.state.update(piece)
        incoming.size += len(piece)
        self.transferred += len(piece)
        if incoming.own is None and incoming.node.size > _LARGE:
            incoming.own = self._new_pack()
        if incoming.own is not None:
            incoming.own.write(piece)
        else:
            incoming.pieces.append(piece)

    def _complete(self, incoming: _Incoming) -> None:
        """A file that grew or shrank while it was sent has the size it came in."""
        node = incoming.node
        if incoming.size != node.size:
            node = _resized(node, incoming.size)
        digest = incoming.state.hexdigest()
        if incoming.own is not None:
            content = Content(digest, incoming.own.name)
        elif not incoming.size:
            content = Content(EMPTY)
        else:
            if self._pack is None:
                self._pack = self._new_pack()
            content = Content(digest, self._pack.name, self._pack.write(b"".join(incoming.pieces)))
        self.found[incoming.raw] = Entry(node, content, incoming.xattrs)

    def _new_pack(self) -> Pack:
        pack = Pack(self._folders.packs)
        self._packs.append(pack)
        return pack


def _resized(node: Node, size: int) -> Node:
    return Node(node.path, node.kind, node.mode, node.uid, node.gid, node.mtime_ns, size, node.link, node.twin)


def _node(attributes: Stat) -> Node:
    """Raises INVALID for a path that leads out."""
    parts = attributes.path.split("/")
    if attributes.path.startswith("/") or ".." in parts or "" in parts or "\0" in attributes.path:
        raise invalid(f"the client's files: {attributes.path!r} is not a path inside its folder")
    mode = attributes.mode
    bits = mode & 0o777
    bits |= stat.S_ISUID if mode & _SETUID else 0
    bits |= stat.S_ISGID if mode & _SETGID else 0
    bits |= stat.S_ISVTX if mode & _STICKY else 0
    kind, device = Kind.FILE, 0
    if mode & _DIRECTORY:
        kind = Kind.DIRECTORY
    elif mode & _LINK:
        kind = Kind.LINK
    elif mode & _KINDS:
        kind = Kind.OTHER
        device = os.makedev(attributes.major, attributes.minor)
        bits |= _special(mode)
    return Node(
        attributes.path,
        kind,
        bits,
        attributes.uid,
        attributes.gid,
        attributes.mtime_ns,
        attributes.size if kind is Kind.FILE else 0,
        attributes.link if kind is Kind.LINK else "",
        attributes.link if kind is Kind.FILE else "",
        device,
    )


def go_mode(node: Node) -> int:
    """The mode as Go programs have it: permissions below, kind and special bits above."""
    mode = node.mode & 0o777
    for bit, theirs in ((stat.S_ISUID, _SETUID), (stat.S_ISGID, _SETGID), (stat.S_ISVTX, _STICKY)):
        mode |= theirs if node.mode & bit else 0
    if node.kind is Kind.DIRECTORY:
        return mode | _DIRECTORY
    if node.kind is Kind.LINK:
        return mode | _LINK
    if node.kind is Kind.FILE:
        return mode
    if stat.S_ISFIFO(node.mode):
        return mode | _PIPE
    return mode | _DEVICE | (_CHARACTER if stat.S_ISCHR(node.mode) else 0)


def _special(mode: int) -> int:
    if mode & _PIPE:
        return stat.S_IFIFO
    if mode & _SOCKET:
        return stat.S_IFSOCK
    return stat.S_IFCHR if mode & _CHARACTER else stat.S_IFBLK


def _with_twins(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Hard links get the content of what they are links of; one whose first name was left out cannot be."""
    for path, entry in list(entries.items()):
        if entry.node.twin and entry.content is None:
            first = entries.get(entry.node.twin)
            if first is None or first.content is None:
                raise invalid(f"{path} is a hard link to {entry.node.twin}, which the build context lacks")
            entries[path] = Entry(
                Node(
                    path, Kind.FILE, entry.node.mode, entry.node.uid, entry.node.gid, entry.node.mtime_ns,
                    first.node.size, "", entry.node.twin,
                ),
                first.content,
                entry.xattrs,
            )  # fmt: skip
    return entries
