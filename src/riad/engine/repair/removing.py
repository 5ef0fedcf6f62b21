"""Taking orphans away, inner things first. What is gone already is no error."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from riad.engine.host import cgroups, mounts, netns, pidfd
from riad.engine.host.netlink import Netlink
from riad.engine.repair.orphans import Orphan
from riad.engine.repair.search import VOLUME
from riad.kernel import process
from riad.kernel.faults import Fault, Kind

_ORDER = ("process", "control group", "mount", "network namespace", "link", "firewall element", "runtime state")
_PATIENCE = 5.0
"""Seconds that a killed process has to go."""


async def remove(orphans: Sequence[Orphan], *, volumes: bool = False) -> tuple[list[Orphan], list[str]]:
    """Returns what is gone, and a complaint for each that stays. Volumes' data goes only with `volumes`."""
    gone, complaints = [], []
    for orphan in sorted(orphans, key=_turn):
        if orphan.kind == VOLUME and not volumes:
            complaints.append(f"{orphan.kind} {orphan.name}: stays, because it may hold data; --volumes removes it")
            continue
        try:
            await _take_away(orphan)
            gone.append(orphan)
        except (Fault, OSError) as error:
            complaints.append(f"{orphan.kind} {orphan.name}: {error}")
    return gone, complaints


def _turn(orphan: Orphan) -> int:
    return _ORDER.index(orphan.kind) if orphan.kind in _ORDER else len(_ORDER)


async def _take_away(orphan: Orphan) -> None:
    match orphan.kind:
        case "process":
            await _end(int(orphan.name.partition(" ")[0]))
        case "control group":
            await _empty(orphan.name)
        case "mount":
            mounts.unmount(Path(orphan.name))
        case "network namespace":
            netns.remove(Path(orphan.name))
        case "link":
            with Netlink() as host:
                host.delete_link(orphan.name)
        case "firewall element":
            await process.run(["nft", f"delete element inet {orphan.name}"], timeout=30)
        case _:
            await asyncio.to_thread(_delete, Path(orphan.name))


async def _end(number: int) -> None:
    handle = pidfd.open_process(number)
    if handle is None:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        os.close(handle)
        return
    async with asyncio.timeout(_PATIENCE):
        await pidfd.exited(handle)


async def _empty(group: str) -> None:
    cgroups.thaw(group)
    for number in cgroups.processes(group):
        with contextlib.suppress(TimeoutError):
            await _end(number)
    cgroups.remove(group)
    if any(folder.is_dir() for folder in cgroups.folders(group)):
        raise Fault(Kind.CONFLICT, "still has processes that cannot be killed")


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
