"""Families of processes, as /proc tells them."""

from __future__ import annotations

import signal
from pathlib import Path

from riad.engine.host import pidfd


def descendants(pid: int) -> list[int]:
    """The processes that `pid` and its children have started and that still belong to it, nearest first."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop(0))
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []  # it has gone


def kill_tree(pid: int) -> None:
    """Kills the process and its descendants. The parent is held first, so that it starts no more of them."""
    pidfd.send(pid, signal.SIGSTOP)
    for member in [*descendants(pid), pid]:
        pidfd.send(member, signal.SIGKILL)
