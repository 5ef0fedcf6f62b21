"""How much a container takes: the bytes it wrote, as `docker ps -s` shows them, and what the disk gives for it.

All of it walks directories: call it in a thread.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path


def written(upper: Path) -> int:
    """The lengths of the files of an upper directory, hard links counted once. Raises nothing for what vanishes."""
    total, seen = 0, set()
    for status in _below(upper):
        if not stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
            if status.st_nlink > 1:
                seen.add((status.st_dev, status.st_ino))
            total += status.st_size
    return total


def on_disk(folder: Path) -> int:
    """What `du -s --one-file-system` says of the folder, in bytes: blocks, directories too, hard links once."""
    try:
        top = os.lstat(folder)
    except FileNotFoundError:
        return 0
    total, seen = top.st_blocks * 512, set()
    for status in _below(folder):
        if status.st_dev != top.st_dev:
            continue
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if status.st_ino in seen:
                continue
            seen.add(status.st_ino)
        total += status.st_blocks * 512
    return total


def _below(folder: Path) -> Iterator[os.stat_result]:
    """The attributes of everything below, not crossing into other file systems."""
    waiting = [os.fsencode(folder)]
    with contextlib.suppress(OSError):
        device = os.lstat(folder).st_dev
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    yield status
                    if entry.is_dir(follow_symlinks=False) and status.st_dev == device:
                        waiting.append(entry.path)
