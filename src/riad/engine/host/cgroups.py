"""Control groups: which layout the host has, where a container's group is, what it used, and taking it away."""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class Layout(enum.Enum):
    V1 = "v1"
    """Controllers in hierarchies of their own (also where a v2 tree without controllers stands beside: "hybrid")."""
    V2 = "v2"


@cache
def layout() -> Layout:
    return Layout.V2 if (ROOT / "cgroup.controllers").exists() else Layout.V1


@cache
def controllers() -> frozenset[str]:
    if layout() is Layout.V2:
        return frozenset((ROOT / "cgroup.controllers").read_text().split())
    return frozenset(path.name for path in ROOT.iterdir() if (path / "tasks").exists())


def counts_swap() -> bool:
    """Whether swap can be limited."""
    if layout() is Layout.V2:
        return any(ROOT.glob("*/memory.swap.max"))
    return (ROOT / "memory/memory.memsw.limit_in_bytes").exists()


def folders(group: str) -> Iterator[Path]:
    """The folders of the group (`/riad/…`), one per hierarchy."""
    if layout() is Layout.V2:
        yield ROOT / group.lstrip("/")
        return
    seen: set[Path] = set()
    for hierarchy in ROOT.iterdir():
        path = (hierarchy / group.lstrip("/")).resolve()  # cpu and cpu,cpuacct are links to one another
        if path not in seen and path.is_dir():
            seen.add(path)
            yield path


def processes(group: str) -> list[int]:
    """Host process ids of all processes in the group (any hierarchy tells all)."""
    for folder in folders(group):
        with contextlib.suppress(OSError):
            return [
                int(pid)
                for path, _, files in os.walk(folder)
                if "cgroup.procs" in files
                for pid in (Path(path) / "cgroup.procs").read_text().split()
            ]
    return []


def children(group: str) -> set[str]:
    """The names of the groups directly below, in any hierarchy."""
    return {
        entry.name for folder in folders(group) if folder.is_dir() for entry in os.scandir(folder) if entry.is_dir()
    }


def remove(group: str) -> None:
    """Removes the empty group and the groups in it; what is busy or gone is left alone."""
    for folder in folders(group):
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def read(group: str, controller: str, file: str) -> str | None:
    """A file of the group; None where the host has no such controller or file."""
    base = ROOT if layout() is Layout.V2 else ROOT / controller
    try:
        return (base / group.lstrip("/") / file).read_text()
    except OSError:
        return None


def frozen(group: str) -> bool:
    """Whether the group's processes are held still (or on their way to it)."""
    if layout() is Layout.V2:
        return (read(group, "", "cgroup.freeze") or "").strip() == "1"
    return (read(group, "freezer", "freezer.state") or "").strip() in ("FROZEN", "FREEZING")


def thaw(group: str) -> None:
    """Lets the group's processes go on; those of a group that is gone need nothing."""
    v2 = layout() is Layout.V2
    folder = (ROOT if v2 else ROOT / "freezer") / group.lstrip("/")
    with contextlib.suppress(OSError), open(folder / ("cgroup.freeze" if v2 else "freezer.state"), "r+") as file:
        file.write("0" if v2 else "THAWED")
