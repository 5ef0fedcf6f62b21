"""The file systems that a build mounts, all below one folder, so that whatever a killed build left is found there.

A build's folder is its intention: it exists before the first mount in it and goes after the last. `sweep` at start
takes away every folder that is left, mounts first.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from riad.engine.host import mounts, overlayfs

_COPIED_UP = "trusted.overlay.origin"  # the kernel marks so what has a version in a lower layer


@dataclass(frozen=True, slots=True)
class Workspace:
    """A root file system with everything that is written to it gathered in `upper`."""

    merged: Path
    upper: Path


@asynccontextmanager
async def workspace(folder: Path, lowers: Sequence[Path]) -> AsyncIterator[Workspace]:
    """Mounts `lowers` (bottom first, may be none) writable below the new `folder`.

    On leaving it is unmounted and `folder` removed; take `upper` out with `detach` before, if it is wanted.
    """
    space = _prepare(folder, lowers)
    try:
        yield space
    finally:
        overlayfs.unmount(space.merged)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def detach(space: Workspace) -> Path:
    """Unmounts; `upper` is then whole and may be moved away."""
    overlayfs.unmount(space.merged)
    return space.upper


def drop_unchanged(upper: Path, lowers: Sequence[Path]) -> None:
    """Removes directories that were copied up but hold nothing and are as below: mount points came and went in them."""
    for folder, names, files in os.walk(upper, topdown=False):
        if files or any(os.path.lexists(f"{folder}/{name}") for name in names) or folder == str(upper):
            continue
        try:
            os.getxattr(folder, _COPIED_UP, follow_symlinks=False)
        except OSError:
            continue
        below = _below(os.path.relpath(folder, upper), lowers)
        if below is not None and _attributes(os.lstat(folder)) == _attributes(below):
            os.rmdir(folder)


def _below(path: str, lowers: Sequence[Path]) -> os.stat_result | None:
    for lower in reversed(lowers):
        try:
            return os.lstat(lower / path)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return None


def _attributes(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid


@asynccontextmanager
async def read_only(folder: Path, lowers: Sequence[Path]) -> AsyncIterator[Path]:
    """The root file system of an image or stage for reading, mounted on the new `folder`."""
    folder.mkdir(parents=True, mode=0o700)
    try:
        overlayfs.mount(_distinct(lowers) or [_empty(folder)], None, None, folder)
        yield folder
    finally:
        overlayfs.unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def place_for(root: Path, name: str) -> AsyncIterator[Path]:
    """A folder for one build, removed with all its mounts at the end, however that comes."""
    folder = root / name
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(_remove, folder))


def sweep(root: Path) -> None:
    """Removes what builds of an earlier life left under `root`."""
    if root.exists():
        for entry in root.iterdir():
            _remove(entry)


def _remove(folder: Path) -> None:
    for point in mounts.mounted_under(folder):
        mounts.unmount(point)
    shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, lowers: Sequence[Path]) -> Workspace:
    folder.mkdir(parents=True, mode=0o700)
    upper, work, merged = folder / "upper", folder / "work", folder / "merged"
    for path in (upper, work, merged):
        path.mkdir(mode=0o755)
    status = os.stat(lowers[-1]) if lowers else None
    os.chmod(upper, stat.S_IMODE(status.st_mode) if status else 0o755)
    if status:
        os.chown(upper, status.st_uid, status.st_gid)
    overlayfs.mount(_distinct(lowers) or [_empty(merged)], upper, work, merged)
    return Workspace(merged, upper)


def _distinct(lowers: Sequence[Path]) -> list[Path]:
    """Each layer once, where it is topmost: the kernel refuses one twice, and what the lower one says is said again."""
    return list(dict.fromkeys(reversed(lowers)))[::-1]


def _empty(beside: Path) -> Path:
    """A lower directory for images without layers: overlayfs wants one."""
    path = beside.with_name(beside.name + ".empty")
    path.mkdir(mode=0o755, exist_ok=True)
    return path
