"""The processes of a container, as the host's ps lists them."""

from __future__ import annotations

import asyncio
import re

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.host import cgroups
from riad.kernel import process
from riad.kernel.faults import conflict, invalid

_DEADLINE = 10.0


_RENAMED = re.compile(r"\s(\S*)=\s*(PID\S*)")


async def top(engine: Engine, container: Container, arguments: str = "") -> tuple[list[str], list[list[str]]]:
    """Titles and rows of `ps ARGUMENTS` (-ef by default), which must show a PID column. Raises CONFLICT, INVALID."""
    container = engine.registry.fresh(container)
    if container.phase is Phase.RESTARTING:
        raise conflict(f"container {container.id} is restarting, wait until the container is running")
    if container.phase not in (Phase.RUNNING, Phase.PAUSED):
        raise conflict(f"container {container.id} is not running")
    check_arguments(arguments)
    wanted = set(await asyncio.to_thread(cgroups.processes, engine.group(container)))
    done = await process.run(["ps", *(arguments or "-ef").split()], timeout=_DEADLINE, check=False)
    if done.code != 0:
        complaint = done.stderr.decode(errors="replace").strip() or "it failed without saying why"
        raise invalid(f"ps: {complaint.splitlines()[0]}")
    found = select(done.stdout.decode(errors="replace"), wanted)
    engine.announce(container, "top")
    return found


def check_arguments(arguments: str) -> None:
    """A column may not pose as the process numbers, by which rows are chosen. Raises INVALID in Docker's words."""
    for found in _RENAMED.finditer(f" {arguments}"):
        if found[1] != "pid":
            raise invalid(f'specifying "{found[1]}={found[2]}" is not allowed')


def select(text: str, wanted: set[int]) -> tuple[list[str], list[list[str]]]:
    """The rows of ps's output whose PID is wanted, and those of their threads; the last column keeps its blanks."""
    head, *lines = text.splitlines() or [""]
    titles = head.split()
    if "PID" not in titles:
        raise invalid("Couldn't find PID field in ps output")
    place = titles.index("PID")
    found: list[list[str]] = []
    chosen = False
    for row in (line.split(None, len(titles) - 1) for line in lines):
        if len(row) <= place:
            continue
        if row[place] != "-":  # a thread's row: it belongs to the process above
            chosen = row[place].isdigit() and int(row[place]) in wanted
        if chosen:
            found.append(row)
    return titles, found
