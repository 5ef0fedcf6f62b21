"""What a container has changed in its image's files: `docker diff`, from overlayfs' upper directory.

The upper directory has what was written, whiteouts (a character device 0/0) for what was removed, and opaque marks on
directories that hide all below. It also has what was only opened for writing, and the parents of everything; so each
name is compared with what the image shows there, by the rules of Docker's own comparison: a directory is modified by
its mode or owner alone, or because something inside it was. Files that every container gets from the engine are no
changes of the user's. Only names and attributes are read, never contents.
"""

from __future__ import annotations

import contextlib
import enum
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from riad.oci import whiteouts

# What the runtime needs to mount on: Docker has these in a layer of its own that `diff` does not look at.
_MOUNTED_ON = frozenset(
    b"/dev /dev/console /dev/mqueue /dev/pts /dev/shm /etc /etc/hostname /etc/hosts /etc/mtab /etc/resolv.conf /proc"
    b" /sbin /sbin/docker-init /sys /sys/fs /sys/fs/cgroup /.dockerenv".split()
)
_CAPABILITY = "security.capability"


class Kind(enum.IntEnum):
    """The numbers of the Engine API."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class Change:
    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Below:
    """What the image has under one name: its attributes, and the directories that show through, topmost first."""

    status: os.stat_result
    path: bytes
    folders: tuple[bytes, ...]


def changes(upper: Path, layers: Sequence[Path]) -> list[Change]:
    """Parents before what is in them, by name. `layers` bottom first, in overlayfs' form. Blocking."""
    if not upper.is_dir():
        return []
    return _inside(os.fsencode(upper), b"", tuple(os.fsencode(layer) for layer in reversed(layers)), hidden=False)


def drop_mount_points(copy: Path, layers: Sequence[Path]) -> None:
    """Takes what was only made to mount on out of a copy of an upper directory, so that no image gets it. Blocking."""
    below = tuple(os.fsencode(layer) for layer in reversed(layers))
    for inside in sorted(_MOUNTED_ON, reverse=True):
        path = os.fsencode(copy) + inside
        with contextlib.suppress(OSError):  # missing, or a folder that has files of the container
            status = os.lstat(path)
            if not any(os.path.lexists(layer + inside) for layer in below):
                if stat.S_ISDIR(status.st_mode):
                    os.rmdir(path)
                elif stat.S_ISREG(status.st_mode) and not status.st_size:
                    os.unlink(path)


def _inside(folder: bytes, prefix: bytes, below: tuple[bytes, ...], *, hidden: bool) -> list[Change]:
    """`hidden`: what is below shows through only where it was written again."""
    hidden = hidden or _opaque(folder)
    found: list[tuple[bytes, list[Change]]] = []
    names = set()
    for name in _names(folder):
        names.add(name)
        found.append((name, _one(folder + b"/" + name, prefix + b"/" + name, _look(below, name), hidden=hidden)))
    if hidden:
        lost = {name for layer in below for name in _names(layer)} - names
        found += [(name, [_change(prefix + b"/" + name, Kind.DELETED)]) for name in lost if _look(below, name)]
    return [change for _, group in sorted(found) for change in group]


def _one(path: bytes, inside: bytes, below: _Below | None, *, hidden: bool) -> list[Change]:
    try:
        status = os.lstat(path)
    except FileNotFoundError:  # a running container removed it meanwhile
        return []
    if whiteouts.is_whiteout_device(status.st_mode, status.st_rdev):
        return [_change(inside, Kind.DELETED)] if below is not None else []
    engines_own = inside in _MOUNTED_ON and (stat.S_ISDIR(status.st_mode) or not status.st_size)
    own: list[Change] = []
    if below is None:
        own = [] if engines_own else [_change(inside, Kind.ADDED)]
    elif _differs(path, status, below):
        own = [_change(inside, Kind.MODIFIED)]
    if not stat.S_ISDIR(status.st_mode):
        return own
    within = _inside(path, inside, below.folders if below else (), hidden=hidden)
    if within and not own:
        own = [_change(inside, Kind.MODIFIED)]
    return own + within


def _look(below: Iterable[bytes], name: bytes) -> _Below | None:
    """What the layers (topmost first) show under `name` together."""
    first: tuple[os.stat_result, bytes] | None = None
    folders: list[bytes] = []
    for layer in below:
        path = layer + b"/" + name
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if whiteouts.is_whiteout_device(status.st_mode, status.st_rdev):
            break
        is_folder = stat.S_ISDIR(status.st_mode)
        if first is None:
            first = status, path
        if not is_folder:
            break
        folders.append(path)
        if _opaque(path):
            break
    return None if first is None else _Below(*first, tuple(folders))


def _differs(path: bytes, now: os.stat_result, below: _Below) -> bool:
    before = below.status
    if (now.st_mode, now.st_uid, now.st_gid, now.st_rdev) != (
        before.st_mode,
        before.st_uid,
        before.st_gid,
        before.st_rdev,
    ):
        return True
    if stat.S_ISDIR(now.st_mode):
        return False
    if (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
        return True
    return _capability(path) != _capability(below.path)


def _capability(path: bytes) -> bytes:
    try:
        return os.getxattr(path, _CAPABILITY, follow_symlinks=False)
    except OSError:
        return b""


def _opaque(folder: bytes) -> bool:
    try:
        return os.getxattr(folder, whiteouts.OPAQUE_XATTR, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _names(folder: bytes) -> list[bytes]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _change(inside: bytes, kind: Kind) -> Change:
    return Change(inside.decode("utf-8", "replace"), kind)
