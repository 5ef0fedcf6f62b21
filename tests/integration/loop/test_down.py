"""`riad down` leaves nothing running and nothing in the kernel; `riad up` brings back what served."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import leftovers
from integration.loop.house import House, Repository, eventually, open_house

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One of its own: it goes down."""
    with open_house(tmp_path_factory.mktemp("down")) as house:
        yield house


@pytest.fixture(scope="module")
def repository(house: House, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A deployed project."""
    repository = house.new_project(tmp_path_factory.mktemp("work") / "steady", "down/steady")
    repository.replace(".gitlab-ci.yml", "--health /health", "--health /health --timeout 5")
    house.succeeds(repository.project, repository.push_text("version 1"))
    return repository


def left_of(house: House) -> list[str]:
    """Processes, mounts, and what the kernel names after the house's engine."""
    name = house.instance[:6]  # links have no more of it in their names
    return [
        *(f"process {pid}: {words}" for pid, words in leftovers.processes(house.folder).items()),
        *(f"mount {target}" for target in leftovers.mounts(house.folder)),
        *(found for found in leftovers.named_by_engines() if name in found),
        *map(str, [house.run] if house.run.exists() else []),
    ]


def test_down_leaves_nothing_and_up_brings_the_service_back(house: House, repository: Repository) -> None:
    assert left_of(house)
    began = time.monotonic()
    stopped = house.json("down")["stopped"]
    assert time.monotonic() - began < 6
    assert set(stopped) == {"engine", "server", "edge", "riad-steady-r1"}
    assert left_of(house) == []
    assert house.json("down") == {"stopped": []}

    began = time.monotonic()
    house.up()
    assert time.monotonic() - began < 6
    eventually(lambda: house.ask("steady") == (200, "version 1\n"), why=house.logs)
    house.succeeds(repository.project, repository.push_text("version 2"))
    assert house.ask("steady") == (200, "version 2\n")


@pytest.mark.parametrize(
    ("job", "file", "old", "new"),
    [
        ("test", ".gitlab-ci.yml", "python check.py", "touch begun; sleep 600 # python check.py"),
        ("build", "Dockerfile", "WORKDIR /app", "RUN sleep 600\nWORKDIR /app"),
        ("deploy", "app.py", "Server((", "__import__('time').sleep(600); Server(("),
    ],
)
def test_down_in_the_middle_of_a_job_leaves_nothing_and_up_tries_the_job_again(
    house: House, repository: Repository, job: str, file: str, old: str, new: str
) -> None:
    repository.replace(file, old, new)
    sha = repository.push_change(f"Wait in {job}")
    pipeline = house.started_pipeline(repository.project, sha)["id"]
    eventually(lambda: house.jobs(repository.project, pipeline)[job]["status"] == "running", why=house.logs)
    first = house.jobs(repository.project, pipeline)[job]["id"]
    if job != "deploy":
        eventually(lambda: "sleep 600" in str(leftovers.processes(house.folder)), why=house.logs)
    else:
        eventually(lambda: "riad-steady-r" in house.log(repository.project, first), why=house.logs)
    began = time.monotonic()
    house.riad("down")
    assert time.monotonic() - began < 12
    assert left_of(house) == []

    house.up()
    eventually(lambda: house.jobs(repository.project, pipeline)[job]["id"] != first, why=house.logs)
    repository.replace(file, new, old)
    house.api(f"/v4/projects/down%2Fsteady/pipelines/{pipeline}/cancel", {})
    eventually(lambda: house.ask("steady")[0] == 200, why=house.logs)
    house.succeeds(repository.project, repository.push_text(f"version after {job}"))
    assert house.ask("steady") == (200, f"version after {job}\n")


def test_a_house_whose_supervisor_was_killed_goes_down_all_the_same(house: House, repository: Repository) -> None:
    house.kill_supervisor()
    assert house.ask("steady")[0] == 200
    house.riad("down")
    assert left_of(house) == []
    house.up()
    eventually(lambda: house.ask("steady")[0] == 200, why=house.logs)


def test_a_folder_of_anothers_in_the_run_folder_stays(house: House, repository: Repository) -> None:
    other: Path = house.run / "other"
    other.touch()
    house.riad("down")
    assert list(house.run.iterdir()) == [other]
    other.unlink()
    house.up()
