"""Sending a folder to a client (FileSend/DiffCopy): the mirror of `filesync`, for outputs of type local.

Every entry is announced, then an empty announcement; the client asks for contents by number and finishes.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from riad.engine.build.tree import DirectoryTree, Kind, Node, walk
from riad.engine.buildkit.filesync import go_mode
from riad.engine.buildkit.http2 import Stream
from riad.engine.buildkit.messages.session import Packet, PacketType, Stat
from riad.engine.buildkit.protobuf import decode, encode
from riad.kernel.faults import invalid

_PIECE = 1 << 15
_TOGETHER = 64


async def send_folder(stream: Stream, root: Path) -> None:
    """Everything below `root`, except sockets, which no folder can be given. Raises Gone, INVALID."""
    tree = DirectoryTree(root)
    nodes = await asyncio.to_thread(_listed, tree)
    for start in range(0, len(nodes), _TOGETHER):
        await stream.send(*(_announced(tree, node) for node in nodes[start : start + _TOGETHER]))
    await stream.send(b"")
    while (message := await stream.receive()) is not None:
        packet = decode(Packet, message)
        if packet.type == PacketType.FINISHED:
            await stream.send(encode(Packet(PacketType.FINISHED)))
            return
        if packet.type == PacketType.ERROR:
            raise invalid(f"error from receiver: {packet.data.decode(errors='replace')}")
        if packet.type == PacketType.REQUEST:
            if packet.id >= len(nodes) or nodes[packet.id].kind is not Kind.FILE:
                raise invalid(f"the client asked for a file that was not announced ({packet.id})")
            await _send_file(stream, packet.id, root / nodes[packet.id].path)
    raise invalid("the client ended the output before it was complete")


async def _send_file(stream: Stream, number: int, path: Path) -> None:
    with open(path, "rb", buffering=0) as file:  # noqa: ASYNC230 -- pieces are read in a thread
        while piece := await asyncio.to_thread(file.read, _PIECE * 8):
            pieces = [piece[at : at + _PIECE] for at in range(0, len(piece), _PIECE)]
            await stream.send(*(encode(Packet(PacketType.DATA, id=number, data=part)) for part in pieces))
    await stream.send(encode(Packet(PacketType.DATA, id=number)))


def _listed(tree: DirectoryTree) -> list[Node]:
    """Hard links after the first are marked as such."""
    top = tree.lstat("")
    assert top is not None
    found: list[Node] = []
    seen: dict[tuple[int, int], str] = {}
    for relative, node in walk(tree, top):
        if not relative or (node.kind is Kind.OTHER and stat.S_ISSOCK(node.mode)):
            continue
        if node.kind is Kind.FILE:
            status = os.lstat(tree.root / relative)
            if status.st_nlink > 1:
                first = seen.setdefault((status.st_dev, status.st_ino), relative)
                if first != relative:
                    node = Node(
                        node.path, node.kind, node.mode, node.uid, node.gid, node.mtime_ns, 0, twin=first
                    )  # fmt: skip
        found.append(node)
    return found


def _announced(tree: DirectoryTree, node: Node) -> bytes:
    xattrs = {} if node.kind is Kind.LINK else dict(tree.xattrs(node))
    return encode(
        Packet(
            stat=Stat(
                node.path,
                go_mode(node),
                node.uid,
                node.gid,
                node.size if node.kind is Kind.FILE else 0,
                node.mtime_ns,
                node.twin or node.link,
                os.major(node.device),
                os.minor(node.device),
                xattrs,
            )
        )
    )
