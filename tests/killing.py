"""The engine's daemon, made to die at a chosen step: `python -m killing FILE engine --data-root …`.

A step is what leaves a trace outside of the process: a file made, moved, removed, a program started, a mount, a message
to netlink or nft, a committed transaction. Python's audit hooks (PEP 578) tell of most before they happen; the few that
go through ctypes are wrapped. Steps count while FILE is there; the daemon dies before the one whose number is FILE's
size. What was counted is written to FILE.steps, a line each.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

_CHANGES = (
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.link",
    "os.symlink",
    "os.truncate",
    "subprocess.Popen",
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Steps:
    def __init__(self, file: str) -> None:
        self._file = file
        self._log = os.open(f"{file}.steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._numbers = itertools.count(1)

    def step(self, what: str) -> None:
        try:
            wanted = os.stat(self._file).st_size
        except FileNotFoundError:
            return
        number = next(self._numbers)
        os.write(self._log, f"{number} {what}\n".encode())
        if number == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES:
            self.step(f"{event} {str(arguments[0])[-80:]}")
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            self.step(f"open {str(arguments[0])[-80:]}")

    def connected(self, connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
        @functools.wraps(connect)
        def traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **named)
            connection.set_trace_callback(lambda said: self.step("COMMIT") if said == "COMMIT" else None)
            return connection

        return traced

    def wrapped(self, work: Callable[..., Any], what: str) -> Callable[..., Any]:
        @functools.wraps(work)
        def counted(*arguments: Any, **named: Any) -> Any:
            self.step(what)
            return work(*arguments, **named)

        return counted


def main() -> None:
    steps = Steps(sys.argv[1])
    from riad.engine.host import mounts, netlink, netns, nftables

    mounts.mount = steps.wrapped(mounts.mount, "mount")
    mounts.unmount = steps.wrapped(mounts.unmount, "unmount")
    netns._unshared = steps.wrapped(netns._unshared, "namespace")
    netns.remove = steps.wrapped(netns.remove, "namespace removed")
    netlink.Netlink._do = steps.wrapped(netlink.Netlink._do, "netlink")  # type: ignore[method-assign]
    nftables.Nftables.run = steps.wrapped(nftables.Nftables.run, "nft")  # type: ignore[method-assign]
    sqlite3.connect = steps.connected(sqlite3.connect)  # type: ignore[assignment]
    from riad.cli.main import main as riad

    sys.addaudithook(steps.hear)
    riad(sys.argv[2:])


if __name__ == "__main__":
    main()
