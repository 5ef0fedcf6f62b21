"""Looking at one path of a container: what Docker's X-Docker-Container-Path-Stat says (Engine API, archive)."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from dataclasses import dataclass

from riad.engine.host.beneath import open_beneath
from riad.kernel.faults import Fault, invalid, not_found

# Go's os.FileMode: the permissions as everywhere, the kind in high bits of its own.
_GO_KINDS = (
    (stat.S_ISDIR, 1 << 31),
    (stat.S_ISLNK, 1 << 27),
    (stat.S_ISBLK, 1 << 26),
    (stat.S_ISCHR, 1 << 26 | 1 << 21),
    (stat.S_ISFIFO, 1 << 25),
    (stat.S_ISSOCK, 1 << 24),
)
_GO_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


@dataclass(frozen=True, slots=True)
class Seen:
    """`mode` is Go's os.FileMode; `link_target` the absolute path in the container that a link leads to, or ""."""

    name: str
    size: int
    mode: int
    mtime_ns: int
    link_target: str


@dataclass(frozen=True, slots=True)
class Place:
    """A path as the client wrote it, made absolute; `follows` where it ends in a slash: the directory there is
    meant, also through a link."""

    text: str
    clean: str
    follows: bool

    @property
    def name(self) -> str:
        """What Go's filepath.Base makes of the path: "." where it ends in "/."."""
        if self.text.endswith("/."):
            return "."
        return posixpath.basename(self.clean) or "/"


def place(path: str) -> Place:
    """Raises INVALID for an empty path."""
    if not path or "\0" in path:
        raise invalid("path cannot be empty" if not path else "path cannot contain a zero byte")
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return Place(path, clean, path.endswith(("/", "/.")) or clean == "/")


def open_place(root: int, where: Place, *, container: str) -> int:
    """An O_PATH descriptor of it. Raises NOT_FOUND with Docker's sentence."""
    try:
        return open_beneath(root, where.clean, os.O_PATH | (os.O_DIRECTORY if where.follows else os.O_NOFOLLOW))
    except OSError as error:
        raise missing(error, where.text, container) from None


def missing(error: OSError, path: str, container: str) -> Fault:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return not_found(f"Could not find the file {path} in container {container}")
    return invalid(f"cannot open {path} in container {container}: {error.strerror}")


def look(root: int, where: Place, *, container: str) -> Seen:
    """Raises NOT_FOUND with Docker's sentence."""
    handle = open_place(root, where, container=container)
    try:
        about = os.fstat(handle)
        target = _link_target(root, where.clean, handle) if stat.S_ISLNK(about.st_mode) else ""
    finally:
        os.close(handle)
    return Seen(where.name, about.st_size, go_mode(about.st_mode), about.st_mtime_ns, target)


def go_mode(mode: int) -> int:
    """
    >>> go_mode(0o41777), go_mode(0o120777)
    (2148532735, 134218239)
    """
    found = mode & 0o777
    for is_kind, bits in _GO_KINDS:
        if is_kind(mode):
            found |= bits
    for bit, go_bit in _GO_BITS:
        if mode & bit:
            found |= go_bit
    return found


def path_of(handle: int) -> str:
    """The path inside its container of an open file or directory: free of links."""
    return os.readlink(f"/proc/self/fd/{handle}")


def _link_target(root: int, path: str, link: int) -> str:
    try:
        end = open_beneath(root, path, os.O_PATH)
    except OSError:  # it leads nowhere; say where to
        return posixpath.normpath(posixpath.join(posixpath.dirname(path), os.readlink("", dir_fd=link)))
    try:
        return path_of(end)
    finally:
        os.close(end)
