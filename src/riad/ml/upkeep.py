"""Housekeeping of experiments: small blocks of points are joined, contents that no file has any more are removed."""

from __future__ import annotations

from datetime import timedelta

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.ml import artifacts, runs
from riad.ml.sql import writing

SMALL, CROWDED, AT_ONCE = 1024, 64, 200
"""Blocks of fewer points are joined where a metric has this many of them, this many metrics in one transaction."""
KEPT = timedelta(days=1)
"""A content without a file may be one whose file is about to be written down."""


def tidy(database: Database, blobs: BlobStore, *, clock: Clock) -> int:
    """How many metrics' points were joined. Blocking."""
    joined = 0
    while True:
        with writing(database) as sql:
            found = runs.join_blocks(sql, smaller_than=SMALL, at_least=CROWDED, most=AT_ONCE)
        joined += found
        if found < AT_ONCE:
            break
    _free(database, blobs, clock)
    return joined


def _free(database: Database, blobs: BlobStore, clock: Clock) -> None:
    idle = {key.rpartition("/")[2]: key for key in blobs.idle("ml/sha256", since=clock.now() - KEPT)}
    with writing(database) as sql:
        for digest in artifacts.unused(sql, list(idle)):
            blobs.delete(idle[digest])
