"""Roll-outs that are interrupted: by the end of the server at each step, by an engine or an edge that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.deploying import World, web_app, world
from riad.deploy import rollouts
from riad.deploy.model import ReleaseState, RolloutState, Settings
from riad.deploy.runner import Rollouts


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        await made.deploy(made.image("v1", web_app("one")))
        await made.settled()
        yield made


@pytest.mark.parametrize(
    "step", ["fetch_image", "start_container", "wait_healthy", "switch", "drain", "remove_container", "remove_image"]
)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_server_killed_at_any_step_finishes_the_rollout_when_it_is_back(
    shop: World, step: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "after": the step took effect, but that was not written down."""
    steps = type(shop.runner.steps)
    carry_out = getattr(steps, step)
    reached = asyncio.Event()

    async def die(self: object, *args: object, **options: object) -> object:
        if moment == "after":
            await carry_out(self, *args, **options)
        reached.set()
        return await asyncio.Event().wait()

    monkeypatch.setattr(steps, step, die)
    if step == "remove_image":
        monkeypatch.setattr("riad.deploy.plan.KEPT_RELEASES", 1)
    release, rollout = shop.request(shop.image("v2", web_app("two")))
    await asyncio.wait_for(reached.wait(), 10)
    assert await shop.ask() in ("one", "two")
    await shop.kill()
    monkeypatch.setattr(steps, step, carry_out)
    assert await shop.ask() in ("one", "two")
    shop.start()
    await shop.settled()
    assert await shop.ask() == "two"
    assert shop.containers() == {"riad-shop-r2"}
    assert shop.edge.upstreams("shop.localhost") == {"r2"}
    assert shop.release(release.id).state is ReleaseState.LIVE
    told = await shop.told(rollout)
    assert sum(line.startswith("release 2 answers") for line in told) == 1
    assert sum(line.startswith("rolling out") for line in told) <= 2


async def test_a_server_killed_while_it_cleans_up_a_failure_cleans_up_when_it_is_back(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def die(self: Rollouts, work: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    clean_up = Rollouts._clean_up
    monkeypatch.setattr(Rollouts, "_clean_up", die)
    broken = shop.image("v2", web_app("two", status=500))
    release, _ = shop.request(broken, settings=Settings(health_path="/", deadline=1))
    await asyncio.wait_for(reached.wait(), 10)
    await shop.kill()
    assert "riad-shop-r2" in shop.containers()
    monkeypatch.setattr(Rollouts, "_clean_up", clean_up)
    shop.start()
    await shop.settled()
    assert shop.containers() == {"riad-shop-r1"}
    assert shop.release(release.id).state is ReleaseState.FAILED
    assert await shop.ask() == "one"


async def test_an_engine_that_is_away_is_waited_for(shop: World) -> None:
    await shop.engine.go_away()
    _, rollout = shop.request(shop.image("v2", web_app("two")))
    lines = shop.runner.follow(rollout.id)
    while not (await anext(lines)).startswith("waiting: no container engine"):
        pass
    await shop.engine.come_back()
    assert (await asyncio.wait_for(shop.told(rollout), 10))[-1].startswith("release 2 answers")
    assert await shop.ask() == "two"


async def test_an_engine_that_stays_away_fails_the_rollout_and_cleaning_up_waits_for_it(tmp_path: Path) -> None:
    async with world(tmp_path, started=False) as shop:
        shop.patience = 0.3
        shop.new_server()
        shop.start()
        await shop.engine.go_away()
        release, rollout = shop.request(shop.image("v1", web_app("one")))
        await asyncio.wait_for(shop.told(rollout), 10)
        assert "no container engine" in (shop.release(release.id).reason or "")
        await shop.engine.come_back()
        await shop.settled()


async def test_an_edge_that_is_away_is_waited_for(shop: World) -> None:
    shop.edge.fail_next("serve")
    release, _ = await shop.deploy(shop.image("v2", web_app("two")))
    assert release.state is ReleaseState.LIVE
    assert await shop.ask() == "two"


async def test_a_switch_that_cannot_be_written_down_is_taken_back(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(rollouts, "go_live", refuse)
    release, _ = await shop.deploy(shop.image("v2", web_app("two")))
    assert release.state is ReleaseState.FAILED
    await shop.settled()
    assert await shop.ask() == "one"
    assert shop.containers() == {"riad-shop-r1"}
    assert shop.edge.upstreams("shop.localhost") == {"r1"}


async def test_a_rollout_is_over_only_when_everything_is_cleaned_up(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("riad.deploy.runner.REPEAT_AFTER", 0.3)
    shop.engine.fail_next("remove")
    _, rollout = shop.request(shop.image("v2", web_app("two")))
    await asyncio.wait_for(shop.told(rollout), 10)
    with shop.database.read() as session:
        assert rollouts.load(session, rollout.id).rollout.state is not RolloutState.DONE
    await shop.settled()
    assert shop.containers() == {"riad-shop-r2"}
