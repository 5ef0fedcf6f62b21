"""The processes of a container, as the host's ps lists them."""

from __future__ import annotations

import asyncio

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.host import cgroups
from riad.kernel import process
from riad.kernel.faults import conflict, invalid

_DEADLINE = 10.0


async def top(engine: Engine, container: Container, arguments: str = "") -> tuple[list[str], list[list[str]]]:
    """Titles and rows of `ps ARGUMENTS` (-ef by default), which must show a PID column. Raises CONFLICT, INVALID."""
    container = engine.registry.fresh(container)
    if container.phase not in (Phase.RUNNING, Phase.PAUSED):
        raise conflict(f"container {container.id} is not running")
    wanted = set(await asyncio.to_thread(cgroups.processes, engine.group(container)))
    done = await process.run(["ps", *(arguments or "-ef").split()], timeout=_DEADLINE, check=False)
    if done.code != 0:
        raise invalid(f"ps: {done.said()}")
    return select(done.stdout.decode(errors="replace"), wanted)


def select(text: str, wanted: set[int]) -> tuple[list[str], list[list[str]]]:
    """The rows of ps's output whose PID is wanted; the last column keeps its blanks."""
    head, *lines = text.splitlines() or [""]
    titles = head.split()
    if "PID" not in titles:
        raise invalid("Couldn't find PID field in ps output")
    place = titles.index("PID")
    rows = (line.split(None, len(titles) - 1) for line in lines)
    return titles, [row for row in rows if len(row) > place and row[place].isdigit() and int(row[place]) in wanted]
