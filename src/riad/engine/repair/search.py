"""Every orphan of one engine, running or not.

While the engine works, things come and go between a look at the database and a look at the host: what counts is found
twice, with a pause in between. What work in progress has on disk (downloads, builds) is not looked at then, unless it
is older than any work.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time

from riad.engine.repair import kernel
from riad.engine.repair.known import Known, Places, read
from riad.engine.repair.orphans import Orphan, of_folder

PAUSE = 1.5
"""Seconds between two looks: longer than the engine puts anything off that it cleans up."""
OLD = 86_400.0
VOLUME = "volume folder"
"""Users' data: never removed without being named."""


async def of_running(sql: sqlite3.Connection, places: Places) -> list[Orphan]:
    """Of an engine that works meanwhile."""
    before = {orphan.key for orphan in await _look(read(sql), places, running=True)}
    await asyncio.sleep(PAUSE)
    return [orphan for orphan in await _look(read(sql), places, running=True) if orphan.key in before]


async def of_resting(sql: sqlite3.Connection, places: Places) -> list[Orphan]:
    """Of an engine that does not run, which the caller makes sure of by holding its lock."""
    return await _look(read(sql), places, running=False)


async def _look(known: Known, places: Places, *, running: bool) -> list[Orphan]:
    found = await asyncio.to_thread(_on_disk, known, places, time.time() - OLD if running else None)
    found += kernel.orphaned_mounts(known, places)
    found += kernel.orphaned_links(known, places)
    found += await kernel.orphaned_elements(known, places)
    found += kernel.orphaned_groups(known, places)
    found += kernel.orphaned_processes(known, places)
    return found


def _on_disk(known: Known, places: Places, older_than: float | None) -> list[Orphan]:
    data, run = places.data, places.run
    found = of_folder("container folder", data / "containers", known.containers)
    found += of_folder("layer", data / "layers", known.layers)
    found += of_folder("layer's frame", data / "frames", known.layers)
    for algorithm in (data / "blobs").iterdir() if (data / "blobs").is_dir() else ():
        known_here = {name.partition(":")[2] for name in known.blobs if name.startswith(f"{algorithm.name}:")}
        found += of_folder("blob", algorithm, known_here)
    found += of_folder(VOLUME, data / "volumes", known.volumes)
    found += of_folder("removed container", data / "trash", frozenset(), older_than=older_than)
    found += of_folder("unfinished layer", data / "incoming", frozenset(), older_than=older_than)
    found += of_folder("run folder", run / "containers", known.alive)
    found += of_folder("runtime state", run / "runtime", known.alive)
    found += of_folder("exit code", run / "exits", known.containers)
    return found
