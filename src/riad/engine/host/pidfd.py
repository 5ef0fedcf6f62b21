"""Waiting for processes by file descriptor: no polling, no threads, also for processes that are not our children."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Orphans of our children (conmon, exec'ed processes) become our children, so that their exit codes reach us."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def open_process(pid: int) -> int | None:
    """A close-on-exec descriptor of the process; None where it is gone."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


async def exited(handle: int) -> int | None:
    """Waits for the end of the process behind `handle` and closes it.

    Returns 0-255 or 128 + signal as a shell would; None where the process was not ours to reap.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    loop.add_reader(handle, settle, done)
    try:
        await done
        return _reap(handle)
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _reap(handle: int) -> int | None:
    with contextlib.suppress(ChildProcessError):
        found = os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else 128 + found.si_status
    return None


def settle(done: asyncio.Future[None]) -> None:
    """For callbacks that may come more than once."""
    if not done.done():
        done.set_result(None)


def send(pid: int, number: int) -> bool:
    """Signals a process; False where it is gone."""
    handle = open_process(pid)
    if handle is None:
        return False
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
