"""Removes artifacts whose time is over, and caches that no job has asked for in a month."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.pipelines.store import ArtifactRow

AT_ONCE = 500
CACHES = "caches"
"""Where caches are in the `BlobStore`: `caches/PROJECT/…`."""
IDLE_CACHE = timedelta(days=30)


def expire(database: Database, blobs: BlobStore, *, clock: Clock) -> int:
    """How many were removed. The file goes first: a row without a file is found again, a file without a row never."""
    removed = _caches(blobs, clock=clock)
    while True:
        with database.read() as session:
            query = select(ArtifactRow).where(ArtifactRow.expire_at <= clock.now()).limit(AT_ONCE)
            rows = session.scalars(query).all()
        if not rows:
            return removed
        for row in rows:
            blobs.delete(row.key)
        with database.write() as session:
            for row in rows:
                if (kept := session.get(ArtifactRow, row.id)) is not None:
                    session.delete(kept)
        removed += len(rows)


def _caches(blobs: BlobStore, *, clock: Clock) -> int:
    idle = blobs.idle(CACHES, since=clock.now() - IDLE_CACHE)
    for key in idle:
        blobs.delete(key)
    return len(idle)
