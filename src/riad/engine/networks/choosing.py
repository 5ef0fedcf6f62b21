"""One engine of the host at a time chooses a subnet and takes it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from riad.kernel.faults import Fault, Kind

_LOCK = Path("/run/riad-subnets.lock")
_LOOK_AGAIN = 0.01
"""Seconds. Asking again, unlike waiting in a thread, can be given up without leaving the lock taken for ever."""


@asynccontextmanager
async def choosing_subnets(*, lock: Path = _LOCK, patience: float = 30.0) -> AsyncIterator[None]:
    """From before looking at the host's routes until there is a bridge with an address: nobody else chooses.

    Ends with its process at the latest. Raises UNAVAILABLE after `patience` seconds.
    """
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        await _take(handle, lock, patience)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # closing is not enough: a child on its way to exec still has it
        os.close(handle)


async def _take(handle: int, lock: Path, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            while not _try(handle):  # noqa: ASYNC110 -- the kernel tells only those that block
                await asyncio.sleep(_LOOK_AGAIN)
    except TimeoutError:
        raise Fault(
            Kind.UNAVAILABLE,
            f"another engine of this host has been choosing a subnet for {patience:g} s;"
            f" `fuser {lock}` says which: end it and try again",
        ) from None


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
