"""Housekeeping by the hour: tidies repositories, frees what the registry no longer needs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from riad.deploy import releases
from riad.forge import housekeeping
from riad.forge.repositories import Repositories
from riad.kernel import logs, outbox
from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.ml import upkeep as ml
from riad.registry import garbage, policy
from riad.registry.cache import Cache
from riad.registry.uploads import Parts

log = logs.named("upkeep")

FIRST_AFTER = 300.0
EVERY = 3600.0
ABANDONED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Upkeep:
    database: Database
    clock: Clock
    repositories: Repositories
    blobs: BlobStore
    parts: Parts
    cache: Cache

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(FIRST_AFTER)
        while True:
            await asyncio.to_thread(self.once)
            await asyncio.sleep(EVERY)

    def once(self) -> None:
        outbox.prune(self.database, clock=self.clock)
        self.blobs.tidy(before=self.clock.now() - ABANDONED)
        joined = ml.tidy(self.database, self.blobs, clock=self.clock)
        tidied = housekeeping.tidy_due(self.database, self.repositories)
        with self.database.write() as session:
            policy.clean_due(session, clock=self.clock)
            self.cache.forget_idle(session)
        collected = garbage.collect(
            self.database, self.blobs, self.parts, clock=self.clock, sweep_untagged=True, pinned=pinned_digests
        )
        log.info("tidied", extra=logs.fields(repositories=tidied, freed_bytes=collected.freed, joined_metrics=joined))


def pinned_digests(session: Session) -> frozenset[str]:
    """The images that a kept release may need for a roll-back, tagged or not."""
    return frozenset(image.partition("@")[2] for image in releases.kept_images(session) if "@" in image)
