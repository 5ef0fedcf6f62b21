"""A whole pipelines room on fakes: a repository, a place to run jobs, SQLite in a temporary folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fakes.source import FakeSource
from riad.kernel.blobs import FolderBlobs
from riad.kernel.clock import SystemClock
from riad.kernel.db import Base, Database
from riad.pipelines import show, store
from riad.pipelines.ports import ProjectFacts, Server, UserFacts
from riad.pipelines.runner.executor import Executor
from riad.pipelines.runner.parts import Limits, Parts
from riad.pipelines.runner.runner import Runner
from riad.pipelines.service import PipelineService
from riad.pipelines.traces import Traces

PROJECT = ProjectFacts(1, "demo/app", "App", 7, "main")
ADA = UserFacts(5, "ada", "Ada", "ada@example.org")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class OneProject:
    def get(self, project_id: int) -> ProjectFacts:
        return PROJECT


class OneUser:
    def get(self, user_id: int) -> UserFacts | None:
        return ADA if user_id == ADA.id else None


@dataclass
class FakeTokens:
    live: dict[int, str] = field(default_factory=dict)
    issued: int = 0

    def issue(self, *, user_id: int, project_id: int, job_id: int) -> str:
        self.issued += 1
        self.live[job_id] = f"rjob-secret-{job_id}-{self.issued}"
        return self.live[job_id]

    def revoke(self, job_id: int) -> None:
        self.live.pop(job_id, None)


@dataclass
class Room:
    database: Database
    source: FakeSource
    executor: Any
    tokens: FakeTokens
    service: PipelineService
    parts: Parts
    runner: Runner
    origin: int = 0

    def push(self, yaml: str, files: dict[str, str | bytes] | None = None, **options: object) -> int | None:
        """Commits and pushes to main; the pipeline's id."""
        before = self.source.branches.get("main", "0" * 40)
        message = str(options.pop("message", "Change it"))
        sha = self.source.add({".gitlab-ci.yml": yaml, **(files or {})}, message=message)
        return self.service.pushed(
            project_id=1,
            ref="refs/heads/main",
            before=before,
            after=sha,
            user_id=ADA.id,
            **options,  # type: ignore[arg-type]
        )

    def made(self, yaml: str, files: dict[str, str | bytes] | None = None) -> int:
        made = self.push(yaml, files)
        assert made is not None
        return made

    def job(self, name: str) -> show.JobView:
        """The newest attempt at the job of that name."""
        with self.database.read() as session:
            rows = [r for p in self.service.pipelines(1)[0] for r in store.jobs_of(session, p.id) if r.name == name]
        return self.service.job(max(row.id for row in rows))

    def log(self, name: str) -> str:
        return self.service.trace(self.job(name).id).data.decode(errors="replace")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.runner.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, condition: object, seconds: float = 10) -> None:
        """Waits until `condition()` holds."""
        async with asyncio.timeout(seconds):
            while not condition():  # type: ignore[operator]  # noqa: ASYNC110 -- what it looks at is in a database
                await asyncio.sleep(0.01)

    async def finished(self, pipeline_id: int, seconds: float = 10) -> show.PipelineView:
        await self.until(lambda: self.service.pipeline(pipeline_id).finished_at is not None, seconds)
        return self.service.pipeline(pipeline_id)

    def close(self) -> None:
        self.database.close()

    def restarted(self) -> None:
        """A new process: nothing is left but the database, the files and the boxes."""
        self.runner = Runner(self.parts)
        object.__setattr__(self.service, "notify", self.runner.notify)


def make_room(
    folder: Path, executor: Executor, *, image: str = "debian:bookworm", database: Database | None = None
) -> Room:
    """Everything in `folder`; call its `close`."""
    if database is None:
        database = Database(f"sqlite:///{folder / 'riad.db'}")
        Base.metadata.create_all(database.engine)
    source, tokens = FakeSource(), FakeTokens()
    blobs, traces, clock = FolderBlobs(folder / "blobs"), Traces(folder / "traces"), SystemClock()
    server = Server("http://riad.test:8080", "riad.test:8080", "http://10.0.0.1:8080")
    parts = Parts(
        database=database,
        clock=clock,
        source=source,
        projects=OneProject(),
        users=OneUser(),
        server=server,
        tokens=tokens,
        blobs=blobs,
        traces=traces,
        executor=executor,
        image=image,
        limits=Limits(patience=20, grace=1),
    )
    runner = Runner(parts)
    service = PipelineService(
        database, clock, source, OneProject(), OneUser(), server, blobs, traces, runner.notify, runner.tags
    )
    return Room(database, source, executor, tokens, service, parts, runner)
