"""Roll-outs, with engine, edge and registry in memory and services that really listen on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.deploying import APP, World, web_app, world
from fakes.docker_engine import outcome
from riad.deploy import releases
from riad.deploy.model import Kind, ReleaseState, Settings
from riad.kernel.faults import Fault
from riad.kernel.outbox import EventRow


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def test_a_first_release_comes_into_service(shop: World) -> None:
    release, lines = await shop.deploy(shop.image("v1", web_app("one")))
    assert (release.state, release.number, release.settings.port) == (ReleaseState.LIVE, 1, 5000)
    assert await shop.ask() == "one"
    assert lines[0].startswith("rolling out release 1 of shop: localhost:8080/demo/shop@sha256:")
    assert lines[-1] == "release 1 answers on http://shop.localhost:8080"
    assert any(line.startswith("healthy after ") and line.endswith("answered 200") for line in lines)


async def test_the_next_release_takes_over_and_the_old_container_goes(shop: World) -> None:
    first, _ = await shop.deploy(shop.image("v1", web_app("one")))
    second, _ = await shop.deploy(shop.image("v2", web_app("two", boot=0.1)))
    assert await shop.ask() == "two"
    await shop.settled()
    assert shop.containers() == {"riad-shop-r2"}
    assert shop.edge.upstreams("shop.localhost") == {"r2"}
    assert (shop.release(first.id).state, second.state) == (ReleaseState.RETIRED, ReleaseState.LIVE)


async def test_a_release_that_answers_with_errors_never_gets_traffic(shop: World) -> None:
    await shop.deploy(shop.image("v1", web_app("one")))
    broken = web_app("boom: no database", status=500, log="Traceback: no database\n")
    release, lines = await shop.deploy(shop.image("v2", broken), settings=Settings(health_path="/up", deadline=1))
    assert release.state is ReleaseState.FAILED
    assert "did not become healthy within 1 s" in (release.reason or "")
    assert "/up answered 500: boom: no database" in (release.reason or "")
    assert "Traceback: no database" in (release.reason or "")
    assert any(line.endswith("; release 1 goes on serving") for line in lines)
    assert await shop.ask() == "one"
    assert ("serve", "r2") not in shop.edge.calls
    await shop.settled()
    assert shop.containers() == {"riad-shop-r1"}
    with shop.database.read() as session:
        assert "Traceback: no database" in releases.container_log(session, release.id)


async def test_a_container_that_ends_fails_the_rollout_at_once_with_its_last_words(shop: World) -> None:
    program = outcome(stderr=b"ModuleNotFoundError: flask\n", code=3)
    release, _ = await asyncio.wait_for(
        shop.deploy(shop.image("v1", program), settings=Settings(health_path="/", deadline=300)), 10
    )
    assert "ended with exit code 3" in (release.reason or "")
    assert "ModuleNotFoundError: flask" in (release.reason or "")


async def test_a_container_that_cannot_start_fails_the_rollout(shop: World) -> None:
    shop.engine.fail_next("start", status=400, message='exec: "gunicorn": executable file not found in $PATH')
    release, _ = await shop.deploy(shop.image("v1", web_app("one")))
    assert "does not start" in (release.reason or "") and "gunicorn" in (release.reason or "")


async def test_an_image_that_nobody_pushed_fails_the_rollout(shop: World) -> None:
    release, _ = await shop.deploy(f"{APP}@sha256:{'0' * 64}")
    assert release.state is ReleaseState.FAILED
    assert "manifest unknown" in (release.reason or "")


async def test_without_a_port_the_way_out_is_named(shop: World) -> None:
    release, _ = await shop.deploy(shop.image("v1", web_app("one"), port=None))
    assert "exposes no port" in (release.reason or "") and "--port" in (release.reason or "")


async def test_without_a_health_path_a_listening_port_is_enough(shop: World) -> None:
    release, lines = await shop.deploy(shop.image("v1", web_app("one", status=500)), settings=Settings(deadline=5))
    assert release.state is ReleaseState.LIVE
    assert any("TCP connection" in line for line in lines)


async def test_asking_twice_for_one_job_is_one_rollout(shop: World) -> None:
    pinned = shop.image("v1", web_app("one"))
    first, rollout = shop.request(pinned, job=7)
    again, same = shop.request(pinned, job=7)
    assert (first.id, rollout.id) == (again.id, same.id)
    assert await asyncio.wait_for(shop.told(rollout), 10) == await shop.told(same)


async def test_a_follower_that_comes_back_is_told_only_what_it_has_not_heard(shop: World) -> None:
    _, rollout = shop.request(shop.image("v1", web_app("one")))
    everything = await asyncio.wait_for(shop.told(rollout), 10)
    assert [line async for line in shop.runner.follow(rollout.id, 2)] == everything[2:]


async def test_connections_are_given_time_and_then_cut(shop: World) -> None:
    await shop.deploy(shop.image("v1", web_app("one")))
    shop.edge.open_connections[("shop.localhost", "r1")] = 2
    await shop.deploy(shop.image("v2", web_app("two")))
    assert "riad-shop-r1" in shop.containers()
    assert shop.edge.cut == []
    await shop.settled()
    assert shop.edge.cut == [("shop.localhost", "r1", 2)]
    assert shop.containers() == {"riad-shop-r2"}


async def test_rollouts_of_one_environment_run_in_the_order_they_were_asked_for(shop: World) -> None:
    _, first = shop.request(shop.image("v1", web_app("one", boot=0.3)))
    _, second = shop.request(shop.image("v2", web_app("two")))
    await asyncio.wait_for(shop.told(second), 10)
    assert (await shop.told(first))[-1].startswith("release 1 answers")
    assert await shop.ask() == "two"
    await shop.settled()
    assert shop.containers() == {"riad-shop-r2"}


async def test_environments_do_not_wait_for_each_other(shop: World) -> None:
    shop.request(shop.image("v1", web_app("one", boot=60)), settings=Settings(health_path="/", deadline=60))
    release, _ = await shop.deploy(shop.image("v2", web_app("two")), environment="staging")
    assert release.state is ReleaseState.LIVE
    assert await shop.ask("shop-staging.localhost") == "two"


async def test_what_happened_is_announced(shop: World) -> None:
    await shop.deploy(shop.image("v1", web_app("one")), job=5)
    await shop.deploy(shop.image("v2", outcome(code=1)), job=6)
    with shop.database.read() as session:
        events = [(row.kind, row.payload["number"], row.payload["job_id"]) for row in session.query(EventRow)]
    assert events == [("deploy.release_live", 1, 5), ("deploy.rollout_failed", 2, 6)]


async def test_the_edges_files_are_written_anew_after_each_switch(shop: World) -> None:
    await shop.deploy(shop.image("v1", web_app("one")))
    await shop.settled()
    assert shop.published == 1


# -- roll-backs


def roll_back(shop: World, number: int | None = None) -> tuple[int, object]:
    with shop.database.write() as session:
        _, release, rollout = releases.rollback(session, project_id=1, number=number, user_id=1, clock=shop.clock)
    shop.runner.wake()
    return release.id, rollout


async def back(shop: World, number: int | None = None) -> str | None:
    release_id, rollout = roll_back(shop, number)
    await asyncio.wait_for(shop.told(rollout), 10)  # type: ignore[arg-type]
    release = shop.release(release_id)
    assert (release.kind, release.state) == (Kind.ROLLBACK, ReleaseState.LIVE)
    return await shop.ask()


async def test_a_roll_back_is_a_new_release_of_the_one_before(shop: World) -> None:
    for version in ("one", "two", "three"):
        await shop.deploy(shop.image(version, web_app(version)))
    assert await back(shop) == "two"
    assert await back(shop) == "one"
    with pytest.raises(Fault, match="no release before this one"):
        roll_back(shop)
    assert await back(shop, 3) == "three"


async def test_a_failed_release_is_no_place_to_go_back_to(shop: World) -> None:
    await shop.deploy(shop.image("one", web_app("one")))
    await shop.deploy(shop.image("bad", outcome(code=1)))
    await shop.deploy(shop.image("three", web_app("three")))
    with pytest.raises(Fault, match="release 2 never was in service"):
        roll_back(shop, 2)
    assert await back(shop) == "one"


async def test_roll_backs_that_make_no_sense_are_refused_by_name(shop: World) -> None:
    with pytest.raises(Fault, match="nothing has been released"):
        roll_back(shop)
    await shop.deploy(shop.image("one", web_app("one")))
    with pytest.raises(Fault, match="is what production serves now"):
        roll_back(shop, 1)
    with pytest.raises(Fault, match="has no release 9"):
        roll_back(shop, 9)


async def test_only_the_last_five_releases_keep_their_image(shop: World) -> None:
    pins = [shop.image(f"v{n}", web_app(f"v{n}")) for n in range(1, 8)]
    for pinned in pins:
        await shop.deploy(pinned)
        await shop.settled()
    kept = {digest for image in shop.engine.images.values() for digest in image.digests}
    assert kept == set(pins[2:])
    with shop.database.read() as session:
        assert releases.kept_images(session) == set(pins[2:])
    with pytest.raises(Fault, match="too old"):
        roll_back(shop, 2)
