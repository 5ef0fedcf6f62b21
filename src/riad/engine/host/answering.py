"""Asking a file system that may never answer: one of NFS or FUSE whose server is away holds every caller for ever.

Such a call cannot be cut short. So it is made in a thread of its own that is left behind, neither on the event loop nor
in the pool of threads that everything else waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Collection
from pathlib import Path

from riad.kernel.faults import unavailable

DEADLINE = 5.0
"""Seconds that a mount may take to answer: a server in a deep sleep or far away needs some."""


async def check(paths: Collection[str | Path], *, deadline: float = DEADLINE) -> None:
    """Returns when every path has been looked at, there or not. Raises UNAVAILABLE that names the one that hangs."""
    for path in dict.fromkeys(map(str, paths)):
        try:
            async with asyncio.timeout(deadline):
                await _looked_at(path)
        except TimeoutError:
            raise unavailable(
                f"{path} does not answer: is it on NFS or FUSE, and its server away? Unmount it (umount -l), or bring "
                "its server back"
            ) from None


def _looked_at(path: str) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not done.done():
            done.set_result(None)

    def look() -> None:
        with contextlib.suppress(OSError, ValueError):
            os.stat(path)
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=look, name="answering", daemon=True).start()
    return done
