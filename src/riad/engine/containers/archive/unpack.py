"""A tar stream unpacked into a directory of a container.

The archive is a stranger's: names with `..`, absolute names, links put in its way by the archive itself or by the
container while it runs. Every parent directory is resolved with openat2 beneath the container's root, every last part
is handled without following links; so whatever happens stays in the container.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from riad.engine.containers.archive.look import path_of
from riad.engine.host.beneath import open_beneath
from riad.engine.host.idmap import IdMap, outside
from riad.engine.images.compression import Incoming, decompress
from riad.kernel.faults import Fault, Kind, denied, invalid

_PIECE = 1 << 18
_XATTR = "SCHILY.xattr."
_READ_ONLY = "container rootfs is marked read-only"


@dataclass(frozen=True, slots=True)
class Rules:
    """`keep_kinds`: a directory never gives way to something else, nor the reverse (Docker's noOverwriteDirNonDir)."""

    keep_kinds: bool = True
    owners: IdMap | None = None
    """What the view shows of the container's own ids."""


def unpack(root: int, target: int, archive: IO[bytes], rules: Rules) -> None:
    """Unpacks into the directory open as `target`, beneath `root`. Blocking.

    The archive may be plain, gzip, bzip2, xz or zstd. Raises INVALID for one that is broken, DENIED where the
    container's files are read-only, EXHAUSTED for a full disk. Entries before a failure stay.
    """
    try:
        content: Any = Incoming(decompress(cast(BinaryIO, archive)))  # tarfile only reads it
        with tarfile.open(fileobj=content, mode="r|", bufsize=_PIECE, errorlevel=1) as tar:
            work = _Unpacking(root, path_of(target), rules)
            try:
                for entry in tar:
                    work.add(entry, lambda entry=entry: tar.extractfile(entry))  # type: ignore[misc]
                work.finish()
            finally:
                work.close()
    except tarfile.TarError as error:
        raise invalid(f"the archive cannot be read: {error}") from None
    except OSError as error:
        raise _fault(error) from None


class _Unpacking:
    def __init__(self, root: int, folder: str, rules: Rules) -> None:
        self._root = root
        self._folder = folder
        self._rules = rules
        self._parents: dict[str, int] = {}
        self._directory_times: list[tuple[str, int]] = []

    def add(self, entry: tarfile.TarInfo, content: Callable[[], IO[bytes] | None]) -> None:
        name = posixpath.normpath("/" + entry.name).strip("/")
        if not name:
            return  # "./": the target itself keeps what it is
        self._translate(entry)
        above, _, last = name.rpartition("/")
        parent = self._parent(above)
        if entry.isdir():
            self._make_directory(parent, last, name, entry)
            return
        self._clear(parent, last, entry)
        match entry.type:
            case tarfile.SYMTYPE:
                os.symlink(entry.linkname, last, dir_fd=parent)
            case tarfile.LNKTYPE:
                self._link(parent, last, entry)
                return
            case tarfile.CHRTYPE | tarfile.BLKTYPE | tarfile.FIFOTYPE:
                os.mknod(
                    last, _KIND_BITS[entry.type] | 0o600, os.makedev(entry.devmajor, entry.devminor), dir_fd=parent
                )
            case _ if entry.isreg():
                _write(parent, last, entry, content())
                return
            case _:
                raise invalid(f"{entry.name}: entries of type {entry.type!r} cannot be unpacked")
        _own(parent, last, entry)
        if entry.issym():
            self._forget()  # what was resolved before may lead elsewhere now

    def _translate(self, entry: tarfile.TarInfo) -> None:
        if self._rules.owners is None:
            return
        try:
            entry.uid = outside(self._rules.owners.uids, entry.uid)
            entry.gid = outside(self._rules.owners.gids, entry.gid)
        except ValueError as error:
            raise invalid(f"{entry.name}: the container's user namespace does not have its owner: {error}") from None

    def finish(self) -> None:
        """Directories get their times last: everything put into them changes them."""
        for name, mtime in reversed(self._directory_times):
            with contextlib.suppress(OSError):
                above, _, last = name.rpartition("/")
                os.utime(last, ns=(mtime, mtime), dir_fd=self._parent(above), follow_symlinks=False)

    def close(self) -> None:
        self._forget()

    def _parent(self, above: str) -> int:
        """The directory of that name beneath the target, made where it is missing."""
        found = self._parents.get(above)
        if found is not None:
            return found
        if len(self._parents) > 64:
            self._forget()
        path = posixpath.join(self._folder, above)
        try:
            found = open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if not above:
                raise
            higher, _, last = above.rpartition("/")
            with contextlib.suppress(FileExistsError):
                os.mkdir(last, 0o755, dir_fd=self._parent(higher))
            found = open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
        self._parents[above] = found
        return found

    def _forget(self) -> None:
        for handle in self._parents.values():
            os.close(handle)
        self._parents.clear()

    def _make_directory(self, parent: int, last: str, name: str, entry: tarfile.TarInfo) -> None:
        try:
            os.mkdir(last, 0o700, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(last, dir_fd=parent).st_mode):
                if self._rules.keep_kinds:
                    raise invalid(f'cannot overwrite non-directory "/{name}" with directory "{entry.name}"') from None
                os.unlink(last, dir_fd=parent)
                self._forget()
                parent = self._parent(name.rpartition("/")[0])
                os.mkdir(last, 0o700, dir_fd=parent)
        _own(parent, last, entry)
        self._directory_times.append((name, _nanoseconds(entry)))

    def _clear(self, parent: int, last: str, entry: tarfile.TarInfo) -> None:
        """Makes room for something that is no directory."""
        try:
            about = os.lstat(last, dir_fd=parent)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(about.st_mode):
            os.unlink(last, dir_fd=parent)
            return
        if self._rules.keep_kinds:
            raise invalid(f'cannot overwrite directory "/{last}" with non-directory "{entry.name}"')
        _remove_tree(parent, last)
        self._forget_below()

    def _forget_below(self) -> None:
        kept = {}
        for name, handle in self._parents.items():
            with contextlib.suppress(OSError):
                if os.fstat(handle).st_nlink > 0:
                    kept[name] = handle
                    continue
            os.close(handle)
        self._parents = kept

    def _link(self, parent: int, last: str, entry: tarfile.TarInfo) -> None:
        above, _, name = posixpath.normpath("/" + entry.linkname).strip("/").rpartition("/")
        handle = os.dup(parent)  # resolving the other may let go of this one
        try:
            os.link(name, last, src_dir_fd=self._parent(above), dst_dir_fd=handle, follow_symlinks=False)
        except FileNotFoundError:
            raise invalid(f"{entry.name}: the archive links to {entry.linkname}, which it does not have") from None
        finally:
            os.close(handle)


_KIND_BITS = {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK, tarfile.FIFOTYPE: stat.S_IFIFO}


def _write(parent: int, last: str, entry: tarfile.TarInfo, content: IO[bytes] | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(last, flags, 0o600, dir_fd=parent), "wb", buffering=0) as file:
        while content is not None and (piece := content.read(_PIECE)):
            file.write(piece)
        made = file.fileno()
        os.fchown(made, entry.uid, entry.gid)
        os.fchmod(made, entry.mode & 0o7777)
        _set_xattrs(made, entry)
        os.utime(made, ns=(_nanoseconds(entry), _nanoseconds(entry)))


def _own(parent: int, last: str, entry: tarfile.TarInfo) -> None:
    """Owner, then mode (chown clears set-user-ID), then times, of anything but a regular file."""
    os.chown(last, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    if not entry.issym():
        handle = os.open(last, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{handle}", entry.mode & 0o7777)
        finally:
            os.close(handle)
    os.utime(last, ns=(_nanoseconds(entry), _nanoseconds(entry)), dir_fd=parent, follow_symlinks=False)


def _set_xattrs(handle: int, entry: tarfile.TarInfo) -> None:
    """File capabilities and users' attributes; what overlayfs keeps in attributes is not for archives to set."""
    for key, value in entry.pax_headers.items():
        name = key.removeprefix(_XATTR)
        if name != key and (name == "security.capability" or name.startswith("user.")):
            with contextlib.suppress(OSError):  # a file system without that kind of attribute
                os.setxattr(handle, name, value.encode("utf-8", "surrogateescape"))


def _remove_tree(parent: int, name: str) -> None:
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for child in os.listdir(folder):
            if stat.S_ISDIR(os.lstat(child, dir_fd=folder).st_mode):
                _remove_tree(folder, child)
            else:
                os.unlink(child, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _nanoseconds(entry: tarfile.TarInfo) -> int:
    return int(max(0, entry.mtime) * 10**9)


def _fault(error: OSError) -> Fault:
    match error.errno:
        case errno.EROFS:
            return denied(_READ_ONLY)
        case errno.ENOSPC | errno.EDQUOT:
            return Fault(Kind.EXHAUSTED, "no space left on device: the archive was unpacked only in part")
        case errno.ENOENT | errno.ENOTDIR | errno.ELOOP | errno.ENAMETOOLONG | errno.EISDIR | errno.EPERM | errno.EBUSY:
            return invalid(f"cannot unpack {error.filename or 'an entry'}: {error.strerror}")
        case _:
            return Fault(Kind.INTERNAL, f"cannot unpack the archive: {error}")
