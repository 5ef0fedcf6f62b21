"""A layer's directory becomes its tar again, the same bytes every time (POSIX pax interchange format).

The bytes are part of the image's identity: they are made when a layer is adopted (its diff ID) and again at every
push, so they may depend on nothing but the directory: names in byte order, whole seconds, numeric owners, no access
times, extended records in one order. That is also why this does not use tarfile, whose output may change.
Overlayfs' whiteouts become `.wh.` entries; sockets, which have no place in a tar, are left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from riad.kernel.faults import Fault, Kind
from riad.oci import whiteouts

_BLOCK = 512
_PIECE = 1 << 20
_END = b"\0" * (2 * _BLOCK)
_LARGEST_ID = 0o7777777
_LARGEST_SIZE = 0o77777777777
_XATTR = b"SCHILY.xattr."
_UNREADABLE_HERE = ("trusted.overlay.redirect", "trusted.overlay.metacopy")


def pack(source: Path) -> Iterator[bytes]:
    """The tar of `source` in pieces. Raises INTERNAL where the directory needs its lower layers to be understood."""
    top = os.fsencode(source)
    seen: dict[tuple[int, int], bytes] = {}
    status = os.lstat(top)
    if (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) != (0o755, 0, 0):
        yield _header(b"./", b"5", status, xattrs=_xattrs(top))
    yield from _opaque(top, b"")
    yield from _directory(top, b"", seen)
    yield _END


def size_of(source: Path) -> int:
    """The bytes of the regular files of a layer's directory, hard links counted once."""
    total, seen = 0, set()
    for folder, _, files in os.walk(source):
        for name in files:
            status = os.lstat(os.path.join(folder, name))
            if stat.S_ISREG(status.st_mode) and (key := (status.st_dev, status.st_ino)) not in seen:
                if status.st_nlink > 1:
                    seen.add(key)
                total += status.st_size
    return total


def _directory(folder: bytes, prefix: bytes, seen: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    with os.scandir(folder) as found:
        names = sorted(entry.name for entry in found)
    for name in names:
        path, inside = folder + b"/" + name, prefix + name
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode):
            yield _header(inside + b"/", b"5", status, xattrs=_xattrs(path))
            yield from _opaque(path, inside + b"/")
            yield from _directory(path, inside + b"/", seen)
        elif whiteouts.is_whiteout_device(status.st_mode, status.st_rdev):
            marker = prefix + whiteouts.marker("").encode() + name
            yield _header(marker, b"0", status, size=0, mode=0)
        else:
            yield from _leaf(path, inside, status, seen)


def _leaf(path: bytes, inside: bytes, status: os.stat_result, seen: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    key = (status.st_dev, status.st_ino)
    if status.st_nlink > 1:
        if key in seen:
            yield _header(inside, b"1", status, link=seen[key])
            return
        seen[key] = inside
    if stat.S_ISREG(status.st_mode):
        yield _header(inside, b"0", status, size=status.st_size, xattrs=_xattrs(path))
        yield from _content(path, status.st_size)
    elif stat.S_ISLNK(status.st_mode):
        yield _header(inside, b"2", status, link=os.readlink(path))
    elif stat.S_ISFIFO(status.st_mode):
        yield _header(inside, b"6", status)
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        yield _header(inside, b"3" if stat.S_ISCHR(status.st_mode) else b"4", status)


def _content(path: bytes, size: int) -> Iterator[bytes]:
    left = size
    with open(path, "rb", buffering=0) as file:
        while left and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece
    if left:
        raise Fault(Kind.INTERNAL, f"{os.fsdecode(path)} became shorter while it was read")
    if size % _BLOCK:
        yield b"\0" * (_BLOCK - size % _BLOCK)


def _opaque(path: bytes, prefix: bytes) -> Iterator[bytes]:
    try:
        opaque = os.getxattr(path, whiteouts.OPAQUE_XATTR, follow_symlinks=False) == b"y"
    except OSError:
        return
    if opaque:
        yield _header(prefix + whiteouts.OPAQUE.encode(), b"0", os.lstat(path), size=0, mode=0)


def _xattrs(path: bytes) -> dict[bytes, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    if not names:
        return {}
    for name in _UNREADABLE_HERE:
        if name in names:
            raise Fault(Kind.INTERNAL, f"{os.fsdecode(path)} has {name}: mount with redirect_dir=off,metacopy=off")
    kept = sorted(name for name in names if not name.startswith("trusted.") and not name.startswith("security.selinux"))
    return {os.fsencode(name): os.getxattr(path, name, follow_symlinks=False) for name in kept}


def _header(
    name: bytes,
    kind: bytes,
    status: os.stat_result,
    *,
    link: bytes = b"",
    size: int = 0,
    mode: int | None = None,
    xattrs: dict[bytes, bytes] | None = None,
) -> bytes:
    seconds = status.st_mtime_ns // 1_000_000_000
    records: dict[bytes, bytes] = {}
    short_name = _fits(name, b"path", records)
    short_link = _fits(link, b"linkpath", records)
    uid = _number(status.st_uid, _LARGEST_ID, b"uid", records)
    gid = _number(status.st_gid, _LARGEST_ID, b"gid", records)
    length = _number(size, _LARGEST_SIZE, b"size", records)
    moment = _number(seconds, _LARGEST_SIZE, b"mtime", records)
    for key, value in (xattrs or {}).items():
        records[_XATTR + key] = value
    permissions = stat.S_IMODE(status.st_mode) if mode is None else mode
    device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (b"3", b"4") else (0, 0)
    block = _block(short_name, permissions, uid, gid, length, moment, kind, short_link, device)
    return _extended(short_name, records) + block if records else block


def _fits(text: bytes, key: bytes, records: dict[bytes, bytes]) -> bytes:
    if len(text) > 100 or not text.isascii():
        records[key] = text
    return text[:100]


def _number(value: int, largest: int, key: bytes, records: dict[bytes, bytes]) -> int:
    if 0 <= value <= largest:
        return value
    records[key] = b"%d" % value
    return 0


def _extended(name: bytes, records: dict[bytes, bytes]) -> bytes:
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    label = (b"PaxHeaders.0/" + name.rstrip(b"/").rpartition(b"/")[2])[:100]
    block = _block(label, 0o644, 0, 0, len(body), 0, b"x", b"", (0, 0))
    return block + body + b"\0" * (-len(body) % _BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    # The length counts itself.
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(
    name: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    seconds: int,
    kind: bytes,
    link: bytes,
    device: tuple[int, int],
) -> bytes:
    head = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(100, b"\0"), mode, uid, gid, size, seconds)
    tail = b"%s%s%s%s%07o\0%07o\0" % (
        kind,
        link.ljust(100, b"\0"),
        b"ustar\x0000",
        b"\0" * 64,
        device[0],
        device[1],
    )
    checksum = sum(head) + sum(tail) + 8 * 0x20
    return (head + b"%06o\0 " % checksum + tail).ljust(_BLOCK, b"\0")
