"""What running jobs takes, and its limits."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.pipelines.ports import JobTokens, NoSockets, Projects, ScopedSockets, Server, Source, Users
from riad.pipelines.runner.executor import Executor
from riad.pipelines.runner.trace_writer import MAX_TRACE
from riad.pipelines.traces import Traces


class Phase(enum.StrEnum):
    """How far a job's run has got, written down before each step is taken."""

    PREPARING = "preparing"
    RUNNING = "running"
    AFTER = "after"
    COLLECTING = "collecting"
    CLEANING = "cleaning"


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes. `patience`: how long an engine that is away is waited for."""

    job: int = 3600
    after_script: int = 300
    grace: float = 10
    patience: float = 60
    trace: int = MAX_TRACE


@dataclass(frozen=True, slots=True)
class Parts:
    """`tools` are put into every job's box, by absolute path. `image` is for jobs that name none."""

    database: Database
    clock: Clock
    source: Source
    projects: Projects
    users: Users
    server: Server
    tokens: JobTokens
    blobs: BlobStore
    traces: Traces
    executor: Executor
    sockets: ScopedSockets = field(default_factory=NoSockets)
    tools: Mapping[str, bytes] = field(default_factory=dict)
    image: str = "debian:bookworm"
    limits: Limits = field(default_factory=Limits)
