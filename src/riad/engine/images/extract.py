"""A layer's tar becomes a directory for overlayfs (image-spec, layer.md; the kernel's overlayfs.rst, "whiteouts").

Rules kept here:

- Nothing is ever written outside the target: names with `..` are refused, links resolve inside it (see `beneath`).
- A later entry replaces an earlier one of the same name; a directory over a directory only changes its attributes.
- Owner, mode with setuid bits, modification times, extended attributes (file capabilities among them), device nodes,
  FIFOs and hard links are as in the archive. `trusted.*` attributes of strangers are dropped: overlayfs obeys them.
- `.wh.NAME` applies to the layers below only: it never removes what this layer brings.
- Attributes of directories are set at the end: writing into one changes its times and inherits its set-group-id.
- Not more than the disk has to give is written, and no name deeper than anything that removes it can go.
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
from riad.engine.images.frames import Frames
from riad.engine.images.model import Measure
from riad.engine.images.tarstream import ForwardStream, members
from riad.kernel.faults import Fault, Kind, exhausted, invalid
from riad.oci import whiteouts

_XATTR = "SCHILY.xattr."
_PIECE = 1 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT, _RESERVED, _OPAQUE = (text.encode() for text in (whiteouts.PREFIX, whiteouts.RESERVED, whiteouts.OPAQUE))
_DEEPEST = 256
_MOST_ENTRIES = 10_000_000
_LOOK_EVERY = 64 << 20  # bytes between two looks at what the disk has left
_WHITEOUT_DEVICE = os.makedev(0, 0)
_UNSUPPORTED_XATTR = (errno.ENOTSUP, errno.EPERM, errno.EINVAL)


def extract(pieces: Iterator[bytes], target: Path, *, frames: Frames | None = None) -> Measure:
    """Unpacks an uncompressed tar into the existing, empty directory `target`; returns what it is.

    `frames` keeps what is not files' content, so that the exact tar can be put together again.
    Raises INVALID for a damaged or malicious archive, EXHAUSTED where the disk is full; remove `target` then.
    """
    stream = ForwardStream(pieces, frame=frames.raw if frames is not None else None)
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        job = _Extraction(stream, root, frames)
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
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise invalid(f"the archive has a name that no file system takes: {error}") from None
        raise Fault(Kind.INTERNAL, f"unpacking the archive: {error}") from error
    finally:
        os.close(root)


class _Extraction:
    def __init__(self, stream: ForwardStream, root: int, frames: Frames | None) -> None:
        self.stream = stream
        self.directories = Directories(root)
        self.size = 0
        self._frames = frames
        self._folders: dict[bytes, tarfile.TarInfo] = {}
        self._umask = _umask()
        self._room = Room(root)

    def take(self, entry: tarfile.TarInfo) -> None:
        self._room.take(entry.size if entry.sparse is None else 0)
        path = _clean(entry.name)
        parent, _, name = path.rpartition(b"/")
        if not name:
            return self._attributes_later(path, entry)
        if name.startswith(_RESERVED):
            if name == _OPAQUE:
                os.setxattr(self.directories.get(parent), whiteouts.OPAQUE_XATTR, b"y")
            return None
        if name.startswith(_WHITEOUT):
            return self._whiteout(parent, os.fsdecode(name.removeprefix(_WHITEOUT)))
        return self._place(entry, path, parent, name)

    def _place(self, entry: tarfile.TarInfo, path: bytes, parent: bytes, name: bytes) -> None:
        if entry.type == tarfile.DIRTYPE:
            self._directory(parent, name)
            return self._attributes_later(path, entry)
        try:
            self._create(entry, path, parent, name)
        except FileExistsError:
            self._clear(parent, name)
            self._create(entry, path, parent, name)
        return None

    def _create(self, entry: tarfile.TarInfo, path: bytes, parent: bytes, name: bytes) -> None:
        if entry.type == tarfile.LNKTYPE:
            return self._hard_link(entry, parent, name)
        at = self.directories.get(parent)
        if entry.isreg():
            return self._file(entry, path, name, at)
        if entry.type == tarfile.SYMTYPE:
            os.symlink(os.fsencode(entry.linkname), name, dir_fd=at)
        elif entry.isfifo():
            os.mkfifo(name, dir_fd=at)
        elif entry.isdev():
            kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(entry.devmajor, entry.devminor), dir_fd=at)
        else:
            raise invalid(f"{entry.name} in the archive is of the unknown type {entry.type!r}")
        if entry.uid or entry.gid:
            os.chown(name, entry.uid, entry.gid, dir_fd=at, follow_symlinks=False)
        if entry.type != tarfile.SYMTYPE:
            os.chmod(name, stat.S_IMODE(entry.mode), dir_fd=at)
        moment = _nanoseconds(entry)
        os.utime(name, ns=(moment, moment), dir_fd=at, follow_symlinks=False)
        return None

    def _file(self, entry: tarfile.TarInfo, path: bytes, name: bytes, at: int) -> None:
        mode = entry.mode & 0o7777
        descriptor = os.open(name, _NEW_FILE, mode & 0o777, dir_fd=at)
        try:
            if entry.sparse is not None:
                self._copy_sparse(descriptor, entry)
            elif entry.size:
                self._copy(descriptor, entry.size, entry.name)
                if self._frames is not None:
                    self._frames.content(path, entry.size)
            # Root made it: owner and plain modes are right already, which saves most files two calls.
            if entry.uid or entry.gid:
                os.fchown(descriptor, entry.uid, entry.gid)
            if mode & (self._umask | 0o7000):
                os.fchmod(descriptor, mode)  # after chown, which takes setuid bits away
            if entry.pax_headers:
                _set_xattrs(descriptor, entry)
            moment = _nanoseconds(entry)
            os.utime(descriptor, ns=(moment, moment))
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
            while size:
                piece = self.stream.framed(min(size, _PIECE))
                if not piece:
                    raise invalid(f"the archive ends in the middle of {entry.name}")
                self._room.take(len(piece))
                size -= len(piece)
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
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

    def _attributes_later(self, path: bytes, entry: tarfile.TarInfo) -> None:
        """At the end: what is written into a directory changes its times and inherits a set-group-id."""
        if entry.type != tarfile.DIRTYPE:
            raise invalid(f"{entry.name} in the archive would replace the root directory")
        self._folders[path] = entry

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
        path = b"/".join(filter(None, (parent, name)))
        if self._frames is not None:
            self._frames.rescue(path, self.directories.root)
        if not stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
            os.unlink(name, dir_fd=at)
        else:
            remove_tree(at, name)
            below = path + b"/"
            self._folders = {k: v for k, v in self._folders.items() if k != path and not k.startswith(below)}
        self.directories.forget()

    def finish(self) -> None:
        for path, entry in self._folders.items():
            descriptor = self.directories.get(path)
            mode, moment = entry.mode & 0o7777, _nanoseconds(entry)
            os.fchown(descriptor, entry.uid, entry.gid)
            os.fchmod(descriptor, mode)
            _set_xattrs(descriptor, entry)
            os.utime(descriptor, ns=(moment, moment))


class Room:
    """What an archive may fill: so many entries, and not the last of the disk, which running containers need too."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._entries = 0
        self._unseen = 0

    def take(self, size: int) -> None:
        """Raises INVALID, EXHAUSTED."""
        self._entries += 1
        self._unseen += size
        if self._entries > _MOST_ENTRIES:
            raise invalid(f"the archive has more than {_MOST_ENTRIES} entries")
        if self._unseen >= _LOOK_EVERY:
            found = os.fstatvfs(self._root)
            if found.f_bavail * found.f_frsize < self._unseen + found.f_blocks * found.f_frsize // 100:
                raise exhausted("no space left on the disk of the data root but its last percent")
            self._unseen = 0


def _umask() -> int:
    # The only way to read it sets it, for all threads.
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1], 8) for line in file if line.startswith("Umask:")), 0o777)


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
    raw = os.fsencode(name)
    if b"\0" in raw:
        raise invalid(f"{name!r} in the archive has a zero byte")
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise invalid(f"{name} in the archive leads outside of it")
    if len(parts) > _DEEPEST:
        raise invalid(f"{name[:100]}… in the archive is {len(parts)} directories deep: more than {_DEEPEST}")
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
    moment = entry.mtime
    return moment * 1_000_000_000 if isinstance(moment, int) else int(moment * 1_000_000_000)
