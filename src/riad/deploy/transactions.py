"""Short transactions from the event loop: in a thread, so that a waiting writer never stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from riad.kernel.db import Database

T = TypeVar("T")


async def reading(database: Database, work: Callable[[Session], T]) -> T:
    def run() -> T:
        with database.read() as session:
            return work(session)

    return await asyncio.to_thread(run)


async def writing(database: Database, work: Callable[[Session], T]) -> T:
    def run() -> T:
        with database.write() as session:
            return work(session)

    return await asyncio.to_thread(run)
