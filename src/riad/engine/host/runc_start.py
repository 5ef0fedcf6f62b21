"""What `runc start` does, without a runc: the created container's init waits to be read from, at a named pipe.

`runc create` leaves the container's first process opening `exec.fifo` of its state folder for writing; it writes one
byte when somebody reads, and closes the pipe by becoming the user's program. `runc start` reads to that end and removes
the pipe, which is also how runc tells "created" from "running": a whole program, 10 ms, for a read. Anything unusual
here is left to runc itself, for its words. See libcontainer's `exec` (container_linux.go, runc 1.0 to 1.3).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from riad.engine.host import pidfd

_DEADLINE = 10.0


async def let_begin(fifo: Path, pid: int) -> bool:
    """True where the init `pid` has begun; False where this is not known for sure, and runc is to be asked."""
    process = pidfd.open_process(pid)
    if process is None:
        return False
    try:
        pipe = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        os.close(process)
        return False
    try:
        async with asyncio.timeout(_DEADLINE):
            begun = await _read_to_end(pipe, process)
    except TimeoutError:
        return False
    finally:
        os.close(pipe)
        os.close(process)
    if begun:
        fifo.unlink(missing_ok=True)
    return begun


async def _read_to_end(pipe: int, process: int) -> bool:
    """Whether the byte came. A pipe that no writer has opened yet has no end to be seen."""
    begun = False
    while True:
        await _either(pipe, process)
        try:
            data = os.read(pipe, 16)
        except BlockingIOError:
            return begun  # the process has ended
        if not data:
            return begun
        begun = True


async def _either(*handles: int) -> None:
    """Until one of them can be read."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    for handle in handles:
        loop.add_reader(handle, pidfd.settle, done)
    try:
        await done
    finally:
        for handle in handles:
            loop.remove_reader(handle)
