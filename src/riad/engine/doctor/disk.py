"""The folder of the engine's data: what file system it is on, how full that is, whether layers can be stacked there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from riad.engine.doctor.findings import Finding, good, note, problem, warning
from riad.engine.host import mounts, overlayfs
from riad.kernel.faults import Fault

GIB = 1024**3
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs"})
_WITHOUT_UPPER = frozenset({"overlay", "vfat", "exfat", "ecryptfs", "ntfs", "ntfs3", "fuseblk"})


def findings(data_root: Path) -> Iterator[Finding]:
    folder = existing(data_root)
    yield filesystem(kind_of(folder, Path("/proc/self/mounts").read_text(errors="replace")), data_root)
    about = os.statvfs(folder)
    if about.f_flag & os.ST_RDONLY:
        yield problem("data root", f"{folder} is mounted read-only", "mount it writable, or choose another --data-root")
    yield space(about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize, folder)
    if about.f_files:
        yield inodes(about.f_favail, about.f_files, folder)


def existing(folder: Path) -> Path:
    """The folder, or the closest one above it that is there."""
    while not folder.is_dir():
        folder = folder.parent
    return folder


def kind_of(folder: Path, table: str) -> str:
    """The file system that `folder` is on, by a mount table as /proc/self/mounts has it."""
    best, kind = "", "unknown"
    inside = f"{folder.resolve()}/"
    for line in table.splitlines():
        _, point, name, *_ = line.split(" ")
        if inside.startswith(point if point.endswith("/") else f"{point}/") and len(point) >= len(best):
            best, kind = point, name
    return kind


def filesystem(kind: str, data_root: Path) -> Finding:
    if kind in _WITHOUT_UPPER:
        return problem(
            "file system",
            f"{data_root} is on {kind}, which can hold no layers",
            "use ext4, xfs or btrfs for --data-root",
        )
    if kind in _REMOTE:
        return problem(
            "file system", f"{data_root} is on {kind}", "locks and layers need a local disk: ext4, xfs, btrfs"
        )
    if kind == "tmpfs":
        return warning("file system", f"{data_root} is in memory (tmpfs)", "everything is lost with the next boot")
    return good("file system", kind)


def space(free: int, total: int, folder: Path) -> Finding:
    text = f"{free / GIB:.1f} GiB of {total / GIB:.1f} free at {folder}"
    if free < GIB // 4:
        return problem("disk space", text, "docker system prune, riad engine repair, or a larger disk")
    if free < 2 * GIB or free < total // 20:
        return warning("disk space", text, "docker system prune, or a larger disk, before the next build needs it")
    return good("disk space", text)


def inodes(free: int, total: int, folder: Path) -> Finding:
    text = f"{free} of {total} inodes free at {folder}"
    if free < 10_000 or free < total // 50:
        return warning("inodes", text, "files run out before bytes do: docker image prune, or a file system with more")
    return good("inodes", text)


def trials(data_root: Path) -> Iterator[Finding]:
    """Stacks two folders where the layers would be."""
    folder = existing(data_root)
    try:
        work = Path(tempfile.mkdtemp(prefix=".riad-doctor-", dir=folder))
    except OSError as error:
        yield problem("data root", f"{folder} cannot be written: {error.strerror}", "choose another --data-root")
        return
    parts = [work / name for name in ("lower", "upper", "work", "merged")]
    try:
        for part in parts:
            part.mkdir()
        overlayfs.mount([parts[0]], parts[1], parts[2], parts[3])
        (parts[3] / "file").write_text("tried")
        yield good("overlay mounts", f"tried in {folder}")
    except (Fault, OSError) as error:
        yield problem("overlay mounts", f"{error}", "use ext4, xfs or btrfs for --data-root")
    finally:
        with contextlib.suppress(Fault):
            mounts.unmount(parts[3])
        shutil.rmtree(work, ignore_errors=True)


def owner_of_lock(data_root: Path, locks: str) -> int | None:
    """The process that holds the data root, by /proc/locks; None where nobody does."""
    try:
        about = (data_root / "lock").stat()
    except OSError:
        return None
    place = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    for line in locks.splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5] == place:
            return int(words[4])
    return None


def lock(data_root: Path) -> Finding:
    owner = owner_of_lock(data_root, Path("/proc/locks").read_text())
    if owner is None:
        return note("data root", f"no engine has {data_root}", "start one with `riad engine`")
    return good("data root", f"{data_root} belongs to the engine with process number {owner}")
