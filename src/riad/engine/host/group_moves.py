"""Moving processes into control groups without waiting for the kernel.

The first move after a quiet while waits until every processor has passed a quiet state (an RCU grace period: 10 ms and
more), because the kernel's lock against forks is made for hosts where nobody moves; moves that follow within such a
period do not wait. A runtime comes to its first move some 10 ms after it was started. So at the first sign that one
will be needed, this process moves itself to where it is already: nothing changes, but the waiting is over by then.
See `cgroup_threadgroup_rwsem` in kernel/cgroup/cgroup.c and kernel/rcu/sync.c.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from riad.engine.host.cgroups import ROOT

_AHEAD = 0.08
"""Seconds for which moves stay fast after a hint; a start comes to its last within that."""
_PAUSE = 0.004
"""Shorter than any grace period: the next one keeps it from ending."""


class GroupMoves:
    """`hasten` when a container or a command in one is about to be started. Costs nothing at rest; never raises."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._working = False

    def hasten(self) -> None:
        """Returns at once; a thread of its own does the waiting."""
        with self._lock:
            self._until = time.monotonic() + _AHEAD
            if self._working:
                return
            self._working = True
        threading.Thread(target=self._work, name="group-moves", daemon=True).start()

    def _work(self) -> None:
        with contextlib.suppress(OSError):  # no control groups to write to: then no move is awaited either
            while self._wanted():
                _stay()
                time.sleep(_PAUSE)
        with self._lock:
            self._working = False

    def _wanted(self) -> bool:
        with self._lock:
            return time.monotonic() < self._until


def _stay() -> None:
    """Moves this process to the group it is in, read anew each time: somebody may have moved it meanwhile."""
    (own_group() / "cgroup.procs").write_text(str(os.getpid()))


def own_group() -> Path:
    """A group of this process, of any hierarchy. Raises OSError where none is visible."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        name = names.removeprefix("name=") or ("unified" if (ROOT / "unified").is_dir() else ".")
        folder = ROOT / name / path.lstrip("/")
        if (folder / "cgroup.procs").exists():
            return folder
    raise FileNotFoundError("no control group of this process is visible")
