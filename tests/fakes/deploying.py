"""Everything a roll-out needs, in memory: database, engine, edge and registry, with small steps to drive it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fakes.docker_engine import FakeContainer, FakeDockerEngine, Program
from fakes.edge import FakeEdge
from riad.deploy import environments, releases, rollouts
from riad.deploy.container import service_url
from riad.deploy.model import Origin, Release, Rollout, Settings
from riad.deploy.ports import Credentials
from riad.deploy.reconcile import Reconciler
from riad.deploy.runner import Rollouts
from riad.deploy.steps import Steps
from riad.dockerclient.client import DockerClient
from riad.kernel.clock import FixedClock, SystemClock
from riad.kernel.db import Base, Database
from riad.kernel.faults import not_found

APP = "localhost:8080/demo/shop"
START = datetime(2026, 1, 1, tzinfo=UTC)


def web_app(version: str, *, status: int = 200, boot: float = 0.0, log: str = "") -> Program:
    """Listens on port 5000 of its container, answers every GET with its version and `status`."""

    async def run(container: FakeContainer) -> int:
        if log:
            container.write(log.encode())
        await asyncio.sleep(boot)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                container.write(head.split(b"\r\n")[0] + b"\n")
                body = version.encode()
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
                )
                await writer.drain()
            except (OSError, EOFError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(answer, container.ip, 5000)
        async with server:
            await container.stopping.wait()
        return 143

    return run


class FakeRegistry:
    """`digests`: what it holds, by `name:tag`."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}

    def resolve(self, reference: str, *, project_id: int) -> str | None:
        if not reference.startswith("localhost:8080/"):
            return None
        if reference not in self.digests:
            raise not_found(f"{reference}: no such image; has the job that builds it pushed it?")
        return self.digests[reference]

    def credentials(self, project_id: int) -> Credentials | None:
        return Credentials("riad", f"for {project_id}")


@dataclass
class World:
    database: Database
    engine: FakeDockerEngine
    edge: FakeEdge
    registry: FakeRegistry
    docker: DockerClient
    clock: FixedClock | SystemClock
    published: int = 0
    task: asyncio.Task[None] | None = None
    runner: Rollouts = field(init=False)
    patience: float = 5.0
    drain_seconds: float = 1.0

    def __post_init__(self) -> None:
        self.new_server()

    def new_server(self) -> None:
        steps = Steps(self.docker, self.edge, self.registry, "localhost", "this-one", drain_seconds=self.drain_seconds)
        self.runner = Rollouts(
            database=self.database,
            steps=steps,
            clock=self.clock,
            url_of=lambda service: service_url("http://localhost:8080", "localhost", service),
            publish=self._publish,
            patience=self.patience,
        )

    def _publish(self) -> None:
        self.published += 1

    @property
    def reconciler(self) -> Reconciler:
        return Reconciler(database=self.database, rollouts=self.runner)

    def start(self) -> None:
        self.task = asyncio.create_task(self.runner.run())

    async def kill(self) -> None:
        """The server dies where it is; a new one (not started) takes its place."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
            self.task = None
        self.new_server()

    def image(self, tag: str, program: Program, *, port: str | None = "5000/tcp") -> str:
        """Puts an image into the registry; returns its pinned name."""
        digest = "sha256:" + tag.encode().hex().ljust(64, "0")
        config = {"ExposedPorts": {port: {}} if port else None, "tag": tag}
        self.registry.digests[f"{APP}:{tag}"] = digest
        self.engine.offer(f"{APP}@{digest}", config=config)
        self.engine.program(f"{APP}@{digest}", program)
        return f"{APP}@{digest}"

    def request(
        self, pinned: str, *, job: int | None = None, environment: str = "production", settings: Settings | None = None
    ) -> tuple[Release, Rollout]:
        with self.database.write() as session:
            where = environments.ensure(
                session, project_id=1, project_path="demo/shop", name=environment, clock=self.clock
            )
            made = releases.request(
                session,
                environment=where,
                image=pinned,
                image_name=pinned,
                settings=settings or Settings(health_path="/", deadline=5),
                origin=Origin("a" * 40, "main", 1, job, 1),
                clock=self.clock,
            )
        self.runner.wake()
        return made

    async def told(self, rollout: Rollout) -> list[str]:
        """What the user is told until it is decided."""
        return [line async for line in self.runner.follow(rollout.id)]

    async def deploy(self, pinned: str, **options: object) -> tuple[Release, list[str]]:
        release, rollout = self.request(pinned, **options)  # type: ignore[arg-type]
        lines = await asyncio.wait_for(self.told(rollout), 20)
        return self.release(release.id), lines

    async def settled(self, timeout: float = 20) -> None:
        """Returns once every roll-out is over, cleaned up and all."""
        async with asyncio.timeout(timeout):
            while True:
                with self.database.read() as session:
                    if not rollouts.unfinished(session):
                        return
                await asyncio.sleep(0.02)

    async def until(self, condition: Callable[[], bool], timeout: float = 10) -> None:
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110 -- the world does not announce everything
                await asyncio.sleep(0.02)

    def release(self, release_id: int) -> Release:
        with self.database.read() as session:
            return releases.get(session, release_id)

    def containers(self) -> set[str]:
        return {container.name for container in self.engine.containers.values()}

    async def ask(self, host: str = "shop.localhost") -> str | None:
        """What a user gets who asks the service now."""
        upstream = self.edge.answers(host)
        if upstream is None:
            return None
        reader, writer = await asyncio.open_connection(upstream.host, upstream.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n\r\n")[2].decode()


@asynccontextmanager
async def world(folder: Path, *, started: bool = True, url: str | None = None) -> AsyncIterator[World]:
    database = Database(url or f"sqlite:///{folder}/riad.db")
    Base.metadata.create_all(database.engine)
    async with FakeDockerEngine(folder / "engine.sock") as engine, DockerClient(engine.host) as docker:
        made = World(database, engine, FakeEdge(), FakeRegistry(), docker, FixedClock(START))
        if started:
            made.start()
        try:
            yield made
        finally:
            await made.kill()
            database.close()
