"""A layer's tar becomes a directory for overlayfs (image-spec, layer.md; the kernel's overlayfs.rst, "whiteouts").

Rules kept here:

- Nothing is ever written outside the target: names with `..` are refused, links resolve inside it (see `beneath`).
- A later entry replaces an earlier one of the same name; a directory over a directory only changes its attributes.
- Owner, mode with setuid bits, modification times, extended attributes (file capabilities among them), device nodes,
  FIFOs and hard links are as in the archive. `trusted.*` attributes of strangers are dropped: overlayfs obeys them.
- `.wh.NAME` applies to the layers below only: it never removes what this layer brings.
- Directory times are set at the end, because writing into a directory changes them.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from riad.engine.images.beneath import Directories
from riad.engine.images.model import Measure
from riad.engine.images.tarstream import ForwardStream, members
from riad.kernel.faults import Fault, Kind, exhausted, invalid
from riad.oci import whiteouts

_XATTR = "SCHILY.xattr."
_PIECE = 1 << 20
_WHITEOUT_DEVICE = os.makedev(0, 0)
_UNSUPPORTED_XATTR = (errno.ENOTSUP, errno.EPERM, errno.EINVAL)


def extract(pieces: Iterator[bytes], target: Path) -> Measure:
    """Unpacks an uncompressed tar into the existing, empty directory `target`; returns what it is.

    Raises INVALID for a damaged or malicious archive, EXHAUSTED where the disk is full; remove `target` then.
    """
    stream = ForwardStream(pieces)
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        job = _Extraction(stream, root)
        try:
            for entry in members(stream):
                job.take(entry)
            job.finish()
        finally:
            job.directories.forget()
        return Measure(stream.finish(), job.size, stream.tell())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise exhausted(f"no space left on the disk of {target}") from None
        raise Fault(Kind.INTERNAL, f"unpacking the archive: {error}") from error
    finally:
        os.close(root)


class _Extraction:
    def __init__(self, stream: ForwardStream, root: int) -> None:
        self.stream = stream
        self.directories = Directories(root)
        self.size = 0
        self._times: dict[bytes, int] = {}

    def take(self, entry: tarfile.TarInfo) -> None:
        path = _clean(entry.name)
        parent, _, name = path.rpartition(b"/")
        if not name:
            return self._attributes_of_directory(path, entry)
        text = os.fsdecode(name)
        if text == whiteouts.OPAQUE:
            return os.setxattr(self.directories.get(parent), whiteouts.OPAQUE_XATTR, b"y")
        if text.startswith(whiteouts.RESERVED):
            return None
        removed = whiteouts.removed_name(text)
        if removed is not None:
            return self._whiteout(parent, removed)
        return self._place(entry, path, parent, name)

    def _place(self, entry: tarfile.TarInfo, path: bytes, parent: bytes, name: bytes) -> None:
        if entry.isdir():
            self._directory(parent, name)
            return self._attributes_of_directory(path, entry)
        try:
            self._create(entry, parent, name)
        except FileExistsError:
            self._clear(parent, name)
            self._create(entry, parent, name)
        return None

    def _create(self, entry: tarfile.TarInfo, parent: bytes, name: bytes) -> None:
        if entry.islnk():
            return self._hard_link(entry, parent, name)
        at = self.directories.get(parent)
        if entry.isreg():
            return self._file(entry, name, at)
        if entry.issym():
            os.symlink(os.fsencode(entry.linkname), name, dir_fd=at)
        elif entry.isfifo():
            os.mkfifo(name, dir_fd=at)
        elif entry.isdev():
            kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(entry.devmajor, entry.devminor), dir_fd=at)
        else:
            raise invalid(f"{entry.name} in the archive is of the unknown type {entry.type!r}")
        os.chown(name, entry.uid, entry.gid, dir_fd=at, follow_symlinks=False)
        if not entry.issym():
            os.chmod(name, stat.S_IMODE(entry.mode), dir_fd=at)
        os.utime(name, ns=(_nanoseconds(entry),) * 2, dir_fd=at, follow_symlinks=False)
        return None

    def _file(self, entry: tarfile.TarInfo, name: bytes, at: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=at)
        try:
            if entry.sparse is None:
                self._copy(descriptor, entry.size, entry.name)
            else:
                self._copy_sparse(descriptor, entry)
            os.fchown(descriptor, entry.uid, entry.gid)
            os.fchmod(descriptor, stat.S_IMODE(entry.mode))  # after chown, which takes setuid bits away
            _set_xattrs(descriptor, entry)
            os.utime(descriptor, ns=(_nanoseconds(entry),) * 2)
        finally:
            os.close(descriptor)
        self.size += entry.size

    def _copy(self, descriptor: int, size: int, name: str) -> None:
        while size:
            piece = self.stream.some(min(size, _PIECE))
            if not piece:
                raise invalid(f"the archive ends in the middle of {name}")
            size -= len(piece)
            while piece:
                piece = piece[os.write(descriptor, piece) :]

    def _copy_sparse(self, descriptor: int, entry: tarfile.TarInfo) -> None:
        pieces: Any = entry.sparse  # (offset, size) pairs, which its annotation does not say
        for offset, size in pieces:
            os.lseek(descriptor, offset, os.SEEK_SET)
            self._copy(descriptor, size, entry.name)
        os.ftruncate(descriptor, entry.size)

    def _hard_link(self, entry: tarfile.TarInfo, parent: bytes, name: bytes) -> None:
        source_parent, _, source_name = _clean(entry.linkname).rpartition(b"/")
        source = os.dup(self.directories.get(source_parent))  # the next get may close it
        try:
            target = self.directories.get(parent)
            os.link(source_name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except FileNotFoundError:
            raise invalid(f"{entry.name} in the archive is a hard link to {entry.linkname}, which it lacks") from None
        finally:
            os.close(source)

    def _directory(self, parent: bytes, name: bytes) -> None:
        at = self.directories.get(parent)
        try:
            os.mkdir(name, 0o700, dir_fd=at)
        except FileExistsError:
            found = os.lstat(name, dir_fd=at)
            if stat.S_ISDIR(found.st_mode):
                return
            self._clear(parent, name)
            at = self.directories.get(parent)
            os.mkdir(name, 0o700, dir_fd=at)
            if whiteouts.is_whiteout_device(found.st_mode, found.st_rdev):
                # Removed below and made anew: nothing of the old one may shine through.
                _mark_opaque(at, name)

    def _attributes_of_directory(self, path: bytes, entry: tarfile.TarInfo) -> None:
        if not entry.isdir():
            raise invalid(f"{entry.name} in the archive would replace the root directory")
        parent, _, name = path.rpartition(b"/")
        at = self.directories.get(parent)
        descriptor = os.open(name or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        try:
            os.fchown(descriptor, entry.uid, entry.gid)
            os.fchmod(descriptor, stat.S_IMODE(entry.mode))
            _set_xattrs(descriptor, entry)
        finally:
            os.close(descriptor)
        self._times[path] = _nanoseconds(entry)

    def _whiteout(self, parent: bytes, name: str) -> None:
        if name in ("", ".", ".."):
            raise invalid(f"{os.fsdecode(parent)}/.wh.{name} in the archive removes nothing that has a name")
        at = self.directories.get(parent)
        try:
            os.mknod(name, stat.S_IFCHR, _WHITEOUT_DEVICE, dir_fd=at)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
                _mark_opaque(at, os.fsencode(name))

    def _clear(self, parent: bytes, name: bytes) -> None:
        at = self.directories.get(parent)
        if not stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
            os.unlink(name, dir_fd=at)
        else:
            remove_tree(at, name)
            path = b"/".join(filter(None, (parent, name)))
            self._times = {k: v for k, v in self._times.items() if k != path and not k.startswith(path + b"/")}
        self.directories.forget()

    def finish(self) -> None:
        for path, moment in self._times.items():
            os.utime(self.directories.get(path), ns=(moment, moment))


def remove_tree(at: int, name: bytes) -> None:
    """Removes the directory `name` in the directory descriptor `at` with all below, following nothing."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        with os.scandir(descriptor) as entries:
            names = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
        for child, is_directory in names:
            remove_tree(descriptor, child) if is_directory else os.unlink(child, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=at)


def _clean(name: str) -> bytes:
    parts = [part for part in os.fsencode(name).split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise invalid(f"{name} in the archive leads outside of it")
    return b"/".join(parts)


def _mark_opaque(at: int, name: bytes) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        os.setxattr(descriptor, whiteouts.OPAQUE_XATTR, b"y")
    finally:
        os.close(descriptor)


def _set_xattrs(descriptor: int, entry: tarfile.TarInfo) -> None:
    for key, value in entry.pax_headers.items():
        if not key.startswith(_XATTR):
            continue
        name = key.removeprefix(_XATTR)
        if name.startswith("trusted."):
            continue
        try:
            os.setxattr(descriptor, name, value.encode("utf-8", "surrogateescape"))
        except OSError as error:
            # A file system or kernel without this attribute; losing a capability of a file must not go unseen.
            if error.errno not in _UNSUPPORTED_XATTR or name == "security.capability":
                raise


def _nanoseconds(entry: tarfile.TarInfo) -> int:
    return int(float(entry.mtime) * 1_000_000_000) if isinstance(entry.mtime, float) else int(entry.mtime) * 10**9
