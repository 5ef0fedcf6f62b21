"""What releases keep is kept the same way by every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from fakes.deploying import APP, FakeRegistry
from riad.deploy import environments, releases, rollouts
from riad.deploy.deploying import deploy
from riad.deploy.edge.files import routes
from riad.deploy.model import EnvironmentState, ReleaseState, RolloutState
from riad.deploy.ports import Job
from riad.deploy.request import parse
from riad.kernel.clock import SystemClock
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind

CLOCK = SystemClock()


def job(number: int, project: int = 1, path: str = "demo/shop") -> Job:
    return Job(number, project, path, "a" * 40, "main", 5, 1)


@pytest.fixture
def registry() -> FakeRegistry:
    made = FakeRegistry()
    made.digests = {f"{APP}:v{n}": f"sha256:{n:064}" for n in range(1, 9)}
    return made


def release(database: Database, registry: FakeRegistry, number: int, **options: object) -> int:
    """Asked for and gone live; its number."""
    wanted = parse(f"image={APP}:v{number}\nport=5000\nenvironment={options.get('environment', 'production')}\n")
    _, made, rollout = deploy(database, registry, job=job(number), wanted=wanted, clock=CLOCK)
    with database.write() as session:
        work = rollouts.begin(session, rollout.id)
        rollouts.say(session, rollout.id, "one\ntwo", clock=CLOCK)
        rollouts.note_address(session, made.id, f"10.0.0.{number}:5000")
        rollouts.go_live(session, rollout.id, len(work.plan.before), clock=CLOCK)
        rollouts.finish(session, rollout.id)
    return made.number


def test_a_release_goes_live_and_retires_its_predecessor(database: Database, registry: FakeRegistry) -> None:
    assert [release(database, registry, n) for n in (1, 2)] == [1, 2]
    with database.read() as session:
        history = releases.of_environment(session, 1)
        assert [(r.number, r.state) for r in history] == [(2, ReleaseState.LIVE), (1, ReleaseState.RETIRED)]
        assert history[0].created_at.tzinfo is not None
        ((route, upstream),) = routes(session, "localhost").items()
        assert (route.host, route.slot) == ("shop.localhost", 1)
        assert upstream is not None and (upstream.name, upstream.host, upstream.port) == ("r2", "10.0.0.2", 5000)
        assert rollouts.lines(session, rollout_id=1, after=1) == ["two"]
        assert rollouts.unfinished(session) == []


def test_a_roll_back_takes_image_and_settings(database: Database, registry: FakeRegistry) -> None:
    for number in (1, 2):
        release(database, registry, number)
    with database.write() as session:
        _, made, rollout = releases.rollback(session, project_id=1, user_id=9, clock=CLOCK)
    assert (made.of, made.image, made.settings.port) == (1, f"{APP}@sha256:{1:064}", 5000)
    assert (made.origin.job_id, made.origin.user_id, rollout.state) == (None, 9, RolloutState.QUEUED)
    with database.write() as session, pytest.raises(Fault, match="under way"):
        releases.rollback(session, project_id=1, user_id=9, clock=CLOCK)


def test_asking_at_once_for_one_job_is_one_release(database: Database, registry: FakeRegistry) -> None:
    wanted = parse(f"image={APP}:v1\n")
    with ThreadPoolExecutor(4) as threads:
        made = list(
            threads.map(lambda _: deploy(database, registry, job=job(1), wanted=wanted, clock=CLOCK)[1].id, range(4))
        )
    assert len(set(made)) == 1


def test_jobs_at_once_get_different_numbers(database: Database, registry: FakeRegistry) -> None:
    wanted = parse(f"image={APP}:v1\n")
    with ThreadPoolExecutor(4) as threads:
        made = list(
            threads.map(
                lambda n: deploy(database, registry, job=job(n), wanted=wanted, clock=CLOCK)[1].number, range(1, 5)
            )
        )
    assert sorted(made) == [1, 2, 3, 4]


def test_a_stopped_environment_gives_its_place_back_and_keeps_its_name(
    database: Database, registry: FakeRegistry
) -> None:
    release(database, registry, 1)
    with database.write() as session:
        live = rollouts.stop(session, 1, clock=CLOCK)
        assert live is not None and live.number == 1
        rollouts.vacate(session, 1)
    with database.read() as session:
        stopped = environments.get(session, 1)
        assert (stopped.state, stopped.slot, stopped.service) == (EnvironmentState.STOPPED, None, "shop")
        assert routes(session, "localhost") == {}
    release(database, registry, 2)
    with database.read() as session:
        assert environments.get(session, 1).slot == 1


def test_a_full_edge_is_said_to_be(database: Database, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "SLOTS", 2)
    for number, name in ((1, "production"), (2, "staging")):
        release(database, registry, number, environment=name)
    with pytest.raises(Fault, match="carries 2 services already") as caught:
        release(database, registry, 3, environment="review")
    assert caught.value.kind is Kind.EXHAUSTED


def test_a_deleted_environment_takes_everything_with_it(database: Database, registry: FakeRegistry) -> None:
    release(database, registry, 1)
    with database.write() as session, pytest.raises(Fault, match="stop it first"):
        environments.delete(session, 1)
    with database.write() as session:
        rollouts.stop(session, 1, clock=CLOCK)
        environments.delete(session, 1)
    with database.read() as session:
        assert releases.of_project(session, 1) == []
        assert rollouts.lines(session, rollout_id=1) == []
