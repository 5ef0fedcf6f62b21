"""A volume's first files: a copy of what the image has at the place where the volume is mounted.

Docker's rule: only an empty volume is filled; the volume's own folder takes owner and mode of the image's. The copy is
made beside the volume and moved in when it is complete, so that a killed daemon leaves either an empty volume, or a
complete copy whose moving the next use finishes. Names in the image are strangers': they are opened beneath the root
with openat2, and symbolic links are copied, never followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from riad.engine.host import mounts
from riad.engine.host.beneath import open_beneath

_UNFINISHED, _FINISHED = ".copy-up", ".copied-up"


def populate(mountpoint: Path, root: Path, path: str) -> bool:
    """Fills the empty `mountpoint` with what is at `path` inside `root`. False where there was nothing to do.

    Blocking. Raises OSError (such as a full disk); the volume is then as empty as before.
    """
    folder = mountpoint.parent
    if mounts.is_mounted(mountpoint):
        return _populate_mounted(mountpoint, root, path)
    if (folder / _FINISHED).exists():
        _move_in(folder / _FINISHED, mountpoint)
        return True
    if any(mountpoint.iterdir()):
        return False
    source = _source(root, path)
    if source is None:
        return False
    try:
        unfinished = folder / _UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            _copy_directory(source, unfinished)
            unfinished.rename(folder / _FINISHED)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        _move_in(folder / _FINISHED, mountpoint)
    finally:
        os.close(source)
    return True


def _populate_mounted(mountpoint: Path, root: Path, path: str) -> bool:
    """A volume that is a mount of something else: nothing can be moved into it at once, so it is filled in place."""
    if any(mountpoint.iterdir()):
        return False
    source = _source(root, path)
    if source is None:
        return False
    try:
        _copy_children(source, mountpoint)
    finally:
        os.close(source)
    return True


def _source(root: Path, path: str) -> int | None:
    """A descriptor of the image's directory, or None where the image has none there."""
    handle = os.open(root, os.O_DIRECTORY | os.O_PATH | os.O_CLOEXEC)
    try:
        return open_beneath(handle, path.lstrip("/") or ".", os.O_DIRECTORY | os.O_RDONLY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    finally:
        os.close(handle)


def _move_in(finished: Path, mountpoint: Path) -> None:
    for entry in list(finished.iterdir()):
        entry.rename(mountpoint / entry.name)
    handle = os.open(finished, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _copy_attributes(handle, mountpoint)
    finally:
        os.close(handle)
    finished.rmdir()


def _copy_directory(source: int, target: Path) -> None:
    target.mkdir(mode=0o700)
    _copy_children(source, target)


def _copy_children(source: int, target: Path) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            _copy_entry(source, entry, target / entry.name)
    _copy_attributes(source, target)


def _copy_entry(parent: int, entry: os.DirEntry[str], target: Path) -> None:
    about = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(about.st_mode):
        target.symlink_to(os.readlink(entry.name, dir_fd=parent))
        os.chown(target, about.st_uid, about.st_gid, follow_symlinks=False)
    elif stat.S_ISDIR(about.st_mode):
        with _opened(parent, entry.name, os.O_DIRECTORY) as handle:
            _copy_directory(handle, target)
    elif stat.S_ISREG(about.st_mode):
        with _opened(parent, entry.name, 0) as handle:
            _copy_file(handle, target, about.st_size)
            _copy_attributes(handle, target)
    elif not stat.S_ISSOCK(about.st_mode):
        os.mknod(target, about.st_mode, about.st_rdev)
        os.chown(target, about.st_uid, about.st_gid)
        os.chmod(target, stat.S_IMODE(about.st_mode))


@contextlib.contextmanager
def _opened(parent: int, name: str, flags: int) -> Iterator[int]:
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


def _copy_file(source: int, target: Path, size: int) -> None:
    made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        offset = 0
        while offset < size:
            # not copy_file_range: kernels refuse it between an overlay and the file system under it
            done = os.sendfile(made, source, offset, size - offset)
            if done == 0:
                break
            offset += done
    finally:
        os.close(made)


def _copy_attributes(source: int, target: Path) -> None:
    """Owner, extended attributes, mode (after the owner: chown clears set-user-ID) and times."""
    about = os.fstat(source)
    os.chown(target, about.st_uid, about.st_gid)
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            with contextlib.suppress(OSError):  # a file system without that kind of attribute
                os.setxattr(target, name, os.getxattr(source, name))
    os.chmod(target, stat.S_IMODE(about.st_mode))
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
