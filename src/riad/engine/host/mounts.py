"""Mounting: the system calls by ctypes (a `mount` process costs milliseconds), and reading the mount table."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from functools import cache
from pathlib import Path

from riad.kernel.faults import Fault, Kind

RDONLY, NOSUID, NODEV, NOEXEC, SYNCHRONOUS, REMOUNT = 1, 2, 4, 8, 16, 32
DIRSYNC, NOATIME, NODIRATIME, BIND, REC, RELATIME, STRICTATIME = 128, 1024, 2048, 4096, 16384, 1 << 21, 1 << 24
UNBINDABLE, PRIVATE, SLAVE, SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
_DETACH, _NOFOLLOW = 2, 8


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str | Path, *, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). Raises INTERNAL (EXHAUSTED for a full disk) with the kernel's reason."""
    done = _libc().mount(
        os.fsencode(source), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    if done != 0:
        code = ctypes.get_errno()
        kind_of_fault = Kind.EXHAUSTED if code == errno.ENOSPC else Kind.INTERNAL
        raise Fault(kind_of_fault, f"cannot mount {kind or source} on {target}: {os.strerror(code)}")


def bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    mount(str(source), target, flags=BIND | REC)
    if read_only:
        mount("none", target, flags=BIND | REMOUNT | RDONLY)


def make_private(target: Path) -> None:
    """Keeps mounts under `target` from being seen by, and held busy in, other mount namespaces."""
    mount("none", target, flags=PRIVATE | REC)


def unmount(target: Path) -> bool:
    """Detaches what is mounted on `target`, as often as something is. False where nothing was."""
    found = False
    while _libc().umount2(os.fsencode(target), _DETACH | _NOFOLLOW) == 0:
        found = True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOENT):  # not (any more) a mount point
        return found
    raise Fault(Kind.INTERNAL, f"cannot unmount {target}: {os.strerror(code)}")


def is_mounted(target: Path) -> bool:
    """Something is mounted right there."""
    return os.path.realpath(target) in _mount_points()


def propagation_of(path: Path) -> tuple[str, frozenset[str]]:
    """The mount point that `path` is on, and of "shared", "master" what that mount is (mount_namespaces(7))."""
    wanted = os.path.realpath(path)
    best, peers = "", frozenset[str]()
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split(" - ")[0].split(" ")
            point = _unescaped(fields[4])
            inside = wanted == point or wanted.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):  # the last of several on one point is on top
                best, peers = point, frozenset(option.partition(":")[0] for option in fields[6:])
    return best, peers


def mounted_under(folder: Path) -> list[Path]:
    """The mount points below `folder`, deepest first."""
    inside = f"{os.path.realpath(folder)}/"
    return sorted((Path(point) for point in _mount_points() if point.startswith(inside)), key=lambda p: -len(p.parts))


def delete_tree(folder: Path) -> None:
    """Deletes `folder` with all in it, but nothing through a mount: what is mounted inside belongs to somebody else.

    Files that cannot be deleted stay. Raises INTERNAL, with nothing deleted, where something stays mounted.
    """
    for point in mounted_under(folder):
        unmount(point)
    if left := mounted_under(folder):
        raise Fault(Kind.INTERNAL, f"cannot delete {folder}: {left[0]} is still mounted")
    shutil.rmtree(folder, ignore_errors=True)


def _mount_points() -> set[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return {_unescaped(line.split(" ", 5)[4]) for line in table}


def _unescaped(field: str) -> str:
    """mountinfo writes blanks and backslashes in octal (proc(5))."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, char)
    return field
