"""What MLflow's API needs of the house."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.ml.sql import Writer


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    clock: Clock
    writer: Writer
    blobs: BlobStore
    incoming: Path
    """Where uploads grow until they are whole, on the disk of the blobs."""
    version: str = ""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self.clock.now().timestamp() * 1000)
