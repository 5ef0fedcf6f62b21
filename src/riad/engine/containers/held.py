"""Mounts on the host that one run of a container needs beside its root filesystem, and that go when it ends.

They are made in a folder of their own, never below anything that is deleted with what is in it: what is mounted here
can be a folder of the host. They outlive the daemon; `sweep` takes those of containers that ended meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from riad.engine.host import mounts
from riad.kernel.faults import Fault


def place(held: Path, container_id: str, name: str, *, folder: bool = True) -> Path:
    """An empty folder, or file, to mount on; what an earlier run left mounted there is taken away."""
    point = held / container_id / name
    point.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    mounts.unmount(point)
    with contextlib.suppress(FileExistsError):
        if folder:
            point.mkdir(mode=0o755)
        else:
            point.touch(mode=0o644)
    return point


def shared_memory(held: Path, container_id: str, size: int, *, owner: tuple[int, int] = (0, 0)) -> Path:
    """The /dev/shm of a container that others may share: a tmpfs of `size` bytes."""
    point = place(held, container_id, "shm")
    flags = mounts.NOSUID | mounts.NOEXEC | mounts.NODEV
    mounts.mount("shm", point, kind="tmpfs", flags=flags, data=f"mode=1777,size={size},uid={owner[0]},gid={owner[1]}")
    return point


def release(held: Path, container_id: str) -> None:
    """May be called twice, and for containers that never held anything. Raises INTERNAL."""
    folder = held / container_id
    for point in [*mounts.mounted_under(folder)]:
        mounts.unmount(point)
    with contextlib.suppress(FileNotFoundError):
        for point in folder.iterdir():
            point.rmdir() if point.is_dir() else point.unlink()
        folder.rmdir()


def sweep(held: Path, live: Collection[str]) -> None:
    """Releases what belongs to no living container."""
    with contextlib.suppress(FileNotFoundError):
        for folder in list(held.iterdir()):
            if folder.name not in live:
                with contextlib.suppress(Fault, OSError):  # tried again at the next start
                    release(held, folder.name)
