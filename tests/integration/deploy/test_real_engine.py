"""Roll-outs with everything real: Riad's engine, containers, HAProxy, and users who never stop asking."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

import perl_app
from engine_fixture import RunningEngine, running_engine
from fakes.haproxy import HAPROXY, RunningEdge, running_edge
from riad.deploy import environments, releases, rollouts
from riad.deploy.container import service_url
from riad.deploy.edge import files
from riad.deploy.model import Origin, Release, ReleaseState, Rollout, Settings
from riad.deploy.ports import Credentials
from riad.deploy.reconcile import Reconciler
from riad.deploy.runner import Rollouts
from riad.deploy.steps import Steps
from riad.dockerclient.client import DockerClient
from riad.kernel.clock import SystemClock
from riad.kernel.db import Base, Database

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        os.geteuid() != 0 or not HAPROXY or not all(map(shutil.which, ("docker", "runc", "conmon", "perl"))),
        reason="needs root, haproxy, docker, runc, conmon and perl",
    ),
]
HOST = {"Host": "shop.localhost"}


class NoRegistry:
    def resolve(self, reference: str, *, project_id: int) -> str | None:
        return None

    def credentials(self, project_id: int) -> Credentials | None:
        return None


@dataclass
class Shop:
    engine: RunningEngine
    edge: RunningEdge
    database: Database
    docker: DockerClient
    runner: Rollouts

    def image(self, version: str, **environ: object) -> str:
        changes = {"VERSION": version, "BOOT": 0.5, **environ}
        self.engine.docker(
            "import",
            *[word for key, value in changes.items() for word in ("--change", f"ENV {key}={value}")],
            *("--change", "EXPOSE 5000", "--change", 'CMD ["perl", "/service.pl"]'),
            self.engine.root / "app.tar",
            f"app:{version}",
        )
        return f"app:{version}"

    def request(self, image: str, deadline: int = 20) -> tuple[Release, Rollout]:
        clock = SystemClock()
        with self.database.write() as session:
            where = environments.ensure(session, project_id=1, project_path="demo/shop", name="production", clock=clock)
            made = releases.request(
                session,
                environment=where,
                image=image,
                image_name=image,
                settings=Settings(health_path="/health", deadline=deadline),
                origin=Origin(None, None, None, None, None),
                clock=clock,
            )
        self.runner.wake()
        return made

    async def told(self, rollout: Rollout) -> list[str]:
        async with asyncio.timeout(60):
            return [line async for line in self.runner.follow(rollout.id)]

    async def deploy(self, image: str, deadline: int = 20) -> tuple[Release, float]:
        began = time.monotonic()
        release, rollout = self.request(image, deadline)
        await self.told(rollout)
        took = time.monotonic() - began
        with self.database.read() as session:
            return releases.get(session, release.id), took

    async def roll_back(self, number: int | None = None) -> float:
        began = time.monotonic()
        with self.database.write() as session:
            _, _, rollout = releases.rollback(session, project_id=1, number=number, user_id=1, clock=SystemClock())
        self.runner.wake()
        await self.told(rollout)
        return time.monotonic() - began

    async def settled(self) -> None:
        async with asyncio.timeout(60):
            while True:
                with self.database.read() as session:
                    if not rollouts.unfinished(session):
                        return
                await asyncio.sleep(0.05)

    async def ask(self, path: str = "/") -> str:
        status, text = await self.edge.get("shop.localhost", path)
        return text if status == 200 else f"{status}"


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        (running.root / "app.tar").write_bytes(perl_app.rootfs(running.root))
        yield running
        running.remove_everything()
        running.docker("network", "rm", "riad-services", check=False)


@pytest.fixture
async def shop(engine: RunningEngine, tmp_path: Path) -> AsyncIterator[Shop]:
    database = Database(f"sqlite:///{tmp_path}/riad.db")
    Base.metadata.create_all(database.engine)
    async with AsyncExitStack() as stack:
        docker = await stack.enter_async_context(DockerClient(engine.host))
        edge = await stack.enter_async_context(running_edge(tmp_path))

        def publish() -> None:
            with database.read() as session:
                files.write(edge.settings.folder, files.files_of(session, edge.settings))

        runner = Rollouts(
            database=database,
            steps=Steps(docker, edge.edge, NoRegistry(), "localhost", "this-one", drain_seconds=5),
            clock=SystemClock(),
            url_of=lambda service: service_url(edge.settings.riad_url, "localhost", service),
            publish=publish,
        )
        running = asyncio.create_task(runner.run())
        looking = asyncio.create_task(Reconciler(database=database, rollouts=runner, period=1).run())
        yield Shop(engine, edge, database, docker, runner)
        for task in (running, looking):
            task.cancel()
        await asyncio.wait([running, looking])
        if engine.process is not None and engine.process.poll() is not None:
            engine.start()
        engine.remove_everything()
        database.close()


@dataclass
class Users:
    """50 requests a second until stopped."""

    shop: Shop
    answers: dict[str, int]
    failures: list[str]

    async def run(self, over: asyncio.Event) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            while not over.is_set():
                group.create_task(self._ask(session))
                await asyncio.sleep(0.02)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(self.shop.edge.url(), headers=HOST) as response:
                text = await response.text()
                if response.status != 200:
                    self.failures.append(f"{response.status} {text[:80]}")
                self.answers[text] = self.answers.get(text, 0) + 1
        except (aiohttp.ClientError, OSError) as error:
            self.failures.append(repr(error))


async def test_users_lose_no_request_in_five_rollouts_and_two_roll_backs(
    shop: Shop, record_property: pytest.RecordProperty
) -> None:
    release, _ = await shop.deploy(shop.image("v0"))
    assert release.state is ReleaseState.LIVE, release.reason
    users, over = Users(shop, {}, []), asyncio.Event()
    asking = asyncio.create_task(users.run(over))
    times = []
    for number in range(1, 6):
        release, took = await shop.deploy(shop.image(f"v{number}"))
        assert release.state is ReleaseState.LIVE, release.reason
        assert await shop.ask() == f"v{number}"
        times.append(took)
    backs = [await shop.roll_back(), await shop.roll_back(2)]
    assert await shop.ask() == "v1"
    await shop.settled()
    over.set()
    await asking
    assert users.failures == []
    assert set(users.answers) == {f"v{number}" for number in range(6)}
    record_property("rollout_seconds", sorted(times)[2])
    record_property("rollback_seconds", max(backs))
    print(f"\nroll-outs {[round(t, 2) for t in times]} s, roll-backs {[round(t, 2) for t in backs]} s")
    running = shop.engine.out("ps", "--format", "{{.Names}}").split()
    assert running == ["riad-shop-r8"]


async def test_an_unhealthy_release_never_serves_and_says_why(shop: Shop) -> None:
    await shop.deploy(shop.image("good"))
    release, _ = await shop.deploy(shop.image("bad", HEALTH=500), deadline=2)
    assert release.state is ReleaseState.FAILED
    assert "/health answered 500: bad" in (release.reason or "")
    assert "booting bad" in (release.reason or "")
    await shop.settled()
    assert await shop.ask() == "good"
    assert shop.engine.out("ps", "-a", "--format", "{{.Names}}") == "riad-shop-r1"


async def test_a_service_that_dies_is_served_again_wherever_it_comes_up(shop: Shop) -> None:
    await shop.deploy(shop.image("v1", BOOT=0))
    await shop.settled()
    before = shop.engine.out("inspect", "-f", "{{.State.StartedAt}}", "riad-shop-r1")
    assert (await shop.edge.get("shop.localhost", "/die"))[0] != 200
    async with asyncio.timeout(20):
        while await shop.ask() != "v1":  # noqa: ASYNC110 -- as a user would
            await asyncio.sleep(0.05)
    assert shop.engine.out("inspect", "-f", "{{.State.StartedAt}}", "riad-shop-r1") != before


async def test_a_container_that_was_removed_by_hand_comes_back(shop: Shop) -> None:
    await shop.deploy(shop.image("v1", BOOT=0))
    await shop.settled()
    shop.engine.docker("rm", "-f", "riad-shop-r1")
    async with asyncio.timeout(20):
        while await shop.ask() != "v1":  # noqa: ASYNC110 -- as a user would
            await asyncio.sleep(0.05)


async def test_services_of_another_riad_on_the_same_engine_are_left_alone(shop: Shop) -> None:
    image = shop.image("v1", BOOT=0)
    others = "--label=riad.installation=another", "--label=riad.release=77", "--label=riad.environment=1"
    shop.engine.docker("run", "-d", "--name", "theirs", *others, image)
    shop.engine.docker("create", "--name", "riad-shop-r2", *others, image)
    await shop.deploy(image)
    await shop.settled()
    release, _ = await shop.deploy(image)
    assert (
        release.reason == "the container riad-shop-r2 belongs to another Riad on this engine; deploy under another name"
    )
    assert set(shop.engine.out("ps", "-a", "--format", "{{.Names}}").split()) == {
        "riad-shop-r1",
        "riad-shop-r2",
        "theirs",
    }


async def test_an_engine_killed_in_a_rollout_costs_no_request_and_no_rollout(shop: Shop) -> None:
    await shop.deploy(shop.image("v1"))
    users, over = Users(shop, {}, []), asyncio.Event()
    asking = asyncio.create_task(users.run(over))
    release, rollout = shop.request(shop.image("v2", BOOT=1))
    lines = shop.runner.follow(rollout.id)
    while not (await anext(lines)).startswith("started container"):
        pass
    shop.engine.kill()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(shop.engine.start)
    await shop.told(rollout)
    assert await shop.ask() == "v2"
    await shop.settled()
    over.set()
    await asking
    assert users.failures == []
    with shop.database.read() as session:
        assert releases.get(session, release.id).state is ReleaseState.LIVE


async def test_an_edge_that_is_started_again_serves_what_was_live(shop: Shop, tmp_path: Path) -> None:
    await shop.deploy(shop.image("v1", BOOT=0))
    await shop.settled()
    text = (shop.edge.settings.folder / "haproxy.cfg").read_text()
    with shop.database.read() as session:
        live = releases.live(session, 1)
    assert live is not None and f"server r1 {live.address}\n" in text
    assert (shop.edge.settings.folder / "hosts.map").read_text() == "shop.localhost service-001\n"
