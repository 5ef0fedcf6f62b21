"""COPY and ADD once their sources are known: what is written into the mounted root file system. Blocking."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from riad.dockerfile.ignore import IgnoreFile, parse_ignore
from riad.engine.build.evaluate import Place
from riad.engine.build.modes import parse_mode
from riad.engine.build.owners import Owner, owner, read_small
from riad.engine.build.place import Placement
from riad.engine.build.receive import index_file
from riad.engine.build.sources import NOTHING, Source
from riad.engine.build.tree import DirectoryTree, Kind, TarTree, Tree
from riad.engine.images.compression import decompress
from riad.kernel.faults import Fault

_ROOT = Owner(0, 0)


@dataclass(frozen=True, slots=True)
class Part:
    """What comes from one place."""

    tree: Tree
    sources: tuple[Source, ...]
    keep_owners: bool = False
    unpack: bool = False


@dataclass(frozen=True, slots=True)
class CopyJob:
    """Files of a stage or image keep their owners, those from elsewhere become root's; --chown wins.

    `accounts` is where names in --chown are looked up.
    """

    action: Place
    parts: tuple[Part, ...]
    accounts: Path
    now: datetime


def copy_into(root: Path, job: CopyJob, beside: Path) -> None:
    """Carries `job` out in the file system mounted at `root`; `beside` is an existing folder for passing files."""
    action = job.action
    asked = _owner(job.accounts, action.chown) if action.chown else None
    mode = parse_mode(action.chmod) if action.chmod else None
    exclude = excluded(action)
    several = sum(len(part.sources) for part in job.parts) + len(action.inline) > 1
    for part in job.parts:
        everyone = asked or (None if part.keep_owners else _ROOT)
        placement = Placement(root, owner=everyone, mode=mode, exclude=exclude)
        plain: list[Source] = []
        for source in part.sources:
            archive = _archive(part.tree, source, beside) if part.unpack and source.node.kind is Kind.FILE else None
            if archive is None:
                plain.append(source)
                continue
            unpacked = Placement(root, owner=asked, mode=mode)
            unpacked.copy(archive, [Source(archive.nodes[""], "")], action.target.rstrip("/") + "/")
            unpacked.finish()
        placement.copy(part.tree, plain, action.target, several=several)
        placement.finish()
    inline = Placement(root, owner=asked or _ROOT, mode=mode)
    for item in action.inline:
        moment = int(job.now.timestamp()) * 10**9
        inline.write(item.name, item.content.encode(), action.target, mtime_ns=moment)
    inline.finish()


def excluded(action: Place) -> IgnoreFile:
    return parse_ignore("\n".join(action.exclude)) if action.exclude else NOTHING


def _owner(root: Path, text: str) -> Owner:
    view = DirectoryTree(root)
    return owner(text, read_small(view, "etc/passwd", str(root)), read_small(view, "etc/group", str(root)))


def _archive(tree: Tree, source: Source, beside: Path) -> TarTree | None:
    """The tree in a tar, compressed or not; None for every other file."""
    file = beside / f"archive-{len(list(beside.iterdir()))}"
    with file.open("xb", buffering=0) as copy:
        tree.copy_data(source.node, copy.fileno())
    with file.open("rb") as raw:
        try:
            head = b""
            for piece in decompress(raw):
                head += piece
                if len(head) >= tarfile.BLOCKSIZE:
                    break
        except Fault:
            return None
    if not _is_tar(head[: tarfile.BLOCKSIZE]):
        return None
    return index_file(file)


def _is_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
