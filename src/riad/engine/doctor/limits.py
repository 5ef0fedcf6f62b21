"""Limits of the kernel and of this process that many containers run into, and the clock."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

from riad.engine.doctor.findings import Finding, good, note, problem, warning

FILES, INSTANCES, WATCHES, CONNECTIONS = 65_536, 512, 65_536, 65_536
_BUILT = 1_704_067_200
"""Unix seconds of a moment (2024) that is certainly over."""


def findings() -> Iterator[Finding]:
    yield files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    yield at_least("inotify instances", "fs.inotify.max_user_instances", INSTANCES, "tail -f and file watchers")
    yield at_least("inotify watches", "fs.inotify.max_user_watches", WATCHES, "file watchers")
    tracked = number("net.netfilter.nf_conntrack_max")
    if tracked is not None:
        yield at_least("tracked connections", "net.netfilter.nf_conntrack_max", CONNECTIONS, "busy published ports")
    yield clock(time.time())


def files(limit: int) -> Finding:
    if limit == resource.RLIM_INFINITY or limit >= FILES:
        return good("open files", "unlimited" if limit == resource.RLIM_INFINITY else str(limit))
    return warning("open files", f"at most {limit}", "start the engine with LimitNOFILE=1048576 (systemd) or ulimit -n")


def number(setting: str) -> int | None:
    try:
        return int((Path("/proc/sys") / setting.replace(".", "/")).read_text())
    except (OSError, ValueError):
        return None


def at_least(what: str, setting: str, wanted: int, who: str) -> Finding:
    found = number(setting)
    if found is None or found >= wanted:
        return good(what, "no limit" if found is None else str(found))
    return note(what, f"{found}, shared by all containers of a user", f"sysctl {setting}={wanted}, for {who}")


def clock(now: float) -> Finding:
    if now < _BUILT:
        return problem(
            "clock", f"it says {time.strftime('%Y-%m-%d', time.gmtime(now))}", "set it: certificates look unborn"
        )
    return good("clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)))
