"""A file or directory of a container as a tar stream, in pieces; nothing is held in memory but one piece.

Everything is opened relative to the directory it was found in and without following links, so a container that moves
things about meanwhile can spoil its own answer but never reach outside.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from riad.engine.containers.archive.look import Place, open_place
from riad.engine.host.idmap import IdMap, inside

_PIECE = 1 << 18
_XATTR = "SCHILY.xattr."
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


def pack(root: int, where: Place, *, container: str, owners: IdMap | None = None) -> Iterator[bytes]:
    """Pieces of the tar, rooted at the path's last part. Blocking; raises NOT_FOUND before the first piece.

    `owners`: what the view shows of the container's own ids.
    """
    handle = open_place(root, where, container=container)
    return _gathered(_packed(handle, "" if where.name == "/" else where.name, _Run(owners)))


def pack_contents(root: int) -> Iterator[bytes]:
    """Pieces of a tar of everything in the directory `root`, names relative to it. Blocking."""
    return _gathered(_contents(root))


def _contents(root: int) -> Iterator[bytes]:
    run = _Run(None)
    for child in sorted(os.listdir(root)):
        with contextlib.suppress(FileNotFoundError):
            yield from _entry(root, child, child, run)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class _Run:
    """`seen`: the names of files with several, by device and number."""

    owners: IdMap | None
    seen: dict[tuple[int, int], str] = field(default_factory=dict)


def _packed(handle: int, name: str, run: _Run) -> Iterator[bytes]:
    try:
        about = os.fstat(handle)
        if stat.S_ISDIR(about.st_mode):
            folder = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            yield from _directory(folder, name, about, run)
        elif stat.S_ISREG(about.st_mode):
            file = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            yield from _file(file, name, about, run)
        else:
            yield from _other(handle, "", name, about, run)
    finally:
        os.close(handle)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _directory(folder: int, name: str, about: os.stat_result, run: _Run) -> Iterator[bytes]:
    """Closes `folder`."""
    try:
        yield _header(run, f"{name}/", about, xattrs_of=folder)
        for child in sorted(os.listdir(folder)):
            with contextlib.suppress(FileNotFoundError):  # gone since the directory was listed
                yield from _entry(folder, child, f"{name}/{child}", run)
    finally:
        os.close(folder)


def _entry(folder: int, child: str, name: str, run: _Run) -> Iterator[bytes]:
    about = os.lstat(child, dir_fd=folder)
    flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDONLY
    if stat.S_ISDIR(about.st_mode):
        yield from _directory(os.open(child, flags | os.O_DIRECTORY, dir_fd=folder), name, about, run)
        return
    identity = (about.st_dev, about.st_ino)
    if about.st_nlink > 1 and identity in run.seen:
        yield _header(run, name, about, kind=tarfile.LNKTYPE, target=run.seen[identity])
        return
    run.seen[identity] = name
    if stat.S_ISREG(about.st_mode):
        yield from _file(os.open(child, flags | os.O_NONBLOCK, dir_fd=folder), name, about, run)
    else:
        yield from _other(folder, child, name, about, run)


def _file(file: int, name: str, about: os.stat_result, run: _Run) -> Iterator[bytes]:
    """Closes `file`. A file that shrinks or grows meanwhile is filled up or cut to the size that its header told."""
    try:
        yield _header(run, name, about, xattrs_of=file)
        left = about.st_size
        while left > 0:
            data = os.read(file, min(left, _PIECE))
            if not data:
                data = b"\0" * min(left, _PIECE)
            left -= len(data)
            yield data
        yield b"\0" * (-about.st_size % tarfile.BLOCKSIZE)
    finally:
        os.close(file)


def _other(folder: int, child: str, name: str, about: os.stat_result, run: _Run) -> Iterator[bytes]:
    if stat.S_ISLNK(about.st_mode):
        yield _header(run, name, about, target=os.readlink(child, dir_fd=folder))
    elif stat.S_IFMT(about.st_mode) in _KINDS:  # sockets have no place in a tar
        yield _header(run, name, about)


def _header(
    run: _Run,
    name: str,
    about: os.stat_result,
    *,
    kind: bytes | None = None,
    target: str = "",
    xattrs_of: int | None = None,
) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type = kind if kind is not None else _KINDS[stat.S_IFMT(about.st_mode)]
    entry.mode, entry.uid, entry.gid = stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid
    if run.owners is not None:
        entry.uid, entry.gid = inside(run.owners.uids, entry.uid), inside(run.owners.gids, entry.gid)
    entry.mtime = about.st_mtime_ns / 1e9 if about.st_mtime_ns % 10**9 else about.st_mtime_ns // 10**9
    entry.size = about.st_size if entry.type == tarfile.REGTYPE else 0
    entry.linkname = target
    if entry.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        entry.devmajor, entry.devminor = os.major(about.st_rdev), os.minor(about.st_rdev)
    if xattrs_of is not None:
        entry.pax_headers = dict(_xattrs(xattrs_of))
    return entry.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape")


def _xattrs(handle: int) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(OSError):
        for name in os.listxattr(handle):
            if name == "security.capability" or name.startswith("user."):
                yield _XATTR + name, os.getxattr(handle, name).decode("utf-8", "surrogateescape")


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces together, so that a thousand small files do not cost a thousand turns of the event loop."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
