"""Device nodes of the host, for `--device` and privileged containers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from riad.kernel.faults import invalid


class Node(NamedTuple):
    """`kind` is c or b, as the runtime specification writes it."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int
    access: str
    source: str = ""
    """Where the host has it, where it does."""


_PRIVATE = ("pts", "shm", "fd", "mqueue", "console", "stdin", "stdout", "stderr", "ptmx")


def nodes(host_path: str, path: str, access: str = "rwm") -> list[Node]:
    """The device at `host_path`, or all in that folder, as it appears at `path`. Raises INVALID as Docker."""
    if not access or set(access) - set("rwm"):
        raise invalid(f"invalid device mode: {access}")
    source = Path(host_path)
    if source.is_dir():
        return [found for inner in source.iterdir() if (found := node(inner, f"{path}/{inner.name}", access))]
    if found := node(source, path, access):
        return [found]
    reason = "not a device node" if source.exists() else "no such file or directory"
    raise invalid(f'error gathering device information while adding custom device "{host_path}": {reason}')


def everything() -> Iterator[Node]:
    """All devices under /dev but those that every container has of its own."""
    for parent, folders, files in os.walk("/dev"):
        folders[:] = [name for name in folders if not (parent == "/dev" and name in _PRIVATE)]
        for name in files:
            path = f"{parent}/{name}"
            if not (parent == "/dev" and name in _PRIVATE) and (found := node(Path(path), path, "rwm")):
                yield found


def node(source: Path, path: str, access: str) -> Node | None:
    """The device at `source` as it appears at `path`; None where there is none."""
    try:
        about = source.stat()
    except OSError:
        return None
    if stat.S_ISCHR(about.st_mode) or stat.S_ISBLK(about.st_mode):
        kind = "c" if stat.S_ISCHR(about.st_mode) else "b"
        mode = stat.S_IMODE(about.st_mode)
        return Node(path, kind, os.major(about.st_rdev), os.minor(about.st_rdev), mode, access, str(source))
    return None
