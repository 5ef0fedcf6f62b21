"""What the registry's handlers work with; the composition root fills it in."""

from __future__ import annotations

from dataclasses import dataclass

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.registry.cache import Cache
from riad.registry.names import Projects
from riad.registry.uploads import Parts


@dataclass(frozen=True, slots=True)
class Services:
    """`signing_key` as from `tokens.load_key`; `external_url` without a slash at its end."""

    database: Database
    clock: Clock
    blobs: BlobStore
    parts: Parts
    projects: Projects
    signing_key: bytes
    external_url: str
    cache: Cache
