"""Network namespaces that outlive their processes: files in the engine's run folder, a namespace mounted on each.

Namespaces are entered only by short-lived threads, because a thread that fails to come home would from then on act in
the wrong network. What callers get is a netlink socket that was opened inside; it works from every thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from riad.engine.host.idmap import held_process
from riad.engine.host.netlink import Netlink

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)

# What Docker gives every container: ping without privileges, any port for any user, no IPv6 on links without it.
_SETTINGS = (
    ("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"),
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
)

T = TypeVar("T")


def create(path: Path, *, owner: Path | None = None) -> Netlink:
    """Makes a namespace that stays mounted on `path`, its loopback up; returns a socket inside it.

    It belongs to the user namespace of `owner`, where one is given: whoever is root there administers this network.
    """
    path.touch(mode=0o600)
    try:
        if owner is not None:
            # A process of many threads cannot enter a user namespace; one of its own makes the network's for us.
            with held_process(["nsenter", f"--user={owner}", "--", "unshare", "--net", "--"]) as pid:
                source = f"/proc/{pid}/ns/net".encode()
                _check(_libc.mount(source, os.fsencode(path), None, _MS_BIND, None), "mount", path)
            return inside(path, _prepared)
        return _in_thread(lambda: _unshared(path))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def enter(path: Path) -> Netlink:
    """A socket inside the existing namespace of `path`; raises FileNotFoundError."""
    return inside(path, Netlink)


def inside(path: Path, work: Callable[[], T]) -> T:
    """Runs `work` (short, blocking) in a thread of its own that lives in the namespace of `path`."""

    def entered() -> T:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(handle, _CLONE_NEWNET), "setns", path)
        finally:
            os.close(handle)
        return work()

    return _in_thread(entered)


def remove(path: Path) -> None:
    """Unmounts and deletes `path`; the namespace goes with its last process. Twice is no error."""
    while _libc.umount2(os.fsencode(path), _MNT_DETACH) == 0:
        pass
    path.unlink(missing_ok=True)


def _unshared(path: Path) -> Netlink:
    _check(_libc.unshare(_CLONE_NEWNET), "unshare", path)
    source = f"/proc/self/task/{threading.get_native_id()}/ns/net".encode()
    _check(_libc.mount(source, os.fsencode(path), None, _MS_BIND, None), "mount", path)
    return _prepared()


def _prepared() -> Netlink:
    """A socket of the namespace that the calling thread is in."""
    for setting, value in _SETTINGS:
        with contextlib.suppress(OSError):  # a kernel without IPv6, or a sandbox that forbids the setting
            Path(setting).write_text(value)
    link = Netlink()
    link.set_up(1)  # a namespace's loopback is always its first link
    return link


def _in_thread(work: Callable[[], T]) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, name="netns")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _check(code: int, call: str, path: Path) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}", str(path))
