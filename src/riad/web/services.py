"""What the pages work with; the composition root fills it in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from riad.forge.repositories import Repositories
from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.pipelines.traces import Traces


class RunPipeline(Protocol):
    def __call__(self, *, project_id: int, ref: str, user_id: int) -> int:
        """Starts a pipeline for a branch or tag; its id. Raises NOT_FOUND, or INVALID with the reason for none."""


@dataclass(frozen=True, slots=True)
class Services:
    """`external_url` without a slash at its end; services answer on NAME.`domain`; `registry` is the HOST:PORT of image
    names. The `wake_…` callables tell the runners that there is something to do; any thread may call them."""

    database: Database
    clock: Clock
    repositories: Repositories
    blobs: BlobStore
    traces: Traces
    external_url: str
    domain: str
    registry: str
    run_pipeline: RunPipeline
    advisories: Path | None = None
    wake_pipelines: Callable[[], None] = lambda: None
    wake_rollouts: Callable[[], None] = lambda: None
    version: str = ""
