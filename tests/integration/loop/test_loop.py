"""A push becomes a tested, built, deployed service that answers on a URL, and can be rolled back."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from integration.loop.house import EXAMPLE, House

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_a_push_becomes_a_service_and_can_be_rolled_back(house: House, tmp_path: Path) -> None:
    project = "demo/flask-hello"
    repository = house.new_project(tmp_path / "work", project, lambda folder: shutil.copytree(EXAMPLE, folder))
    first = repository.commit("Say hello")
    pushed = repository.push()
    assert f"{house.url}/{project}/-/pipelines" in pushed.stderr  # git shows where to watch

    done = house.succeeds(project, first)
    assert [job["status"] for job in done["jobs"].values()] == ["success"] * 3
    report = house.of(project, f"pipelines/{done['id']}/test_report")
    assert (report["total_count"], report["success_count"], report["failed_count"]) == (2, 2, 0)
    assert house.tags(project) == [first[:8]]
    assert house.ask("flask-hello") == (200, "Hello, Docker!")

    repository.replace("app.py", "Hello, Docker!", "Hello again!")
    second = repository.push_change("Say it again")
    house.succeeds(project, second)
    assert house.ask("flask-hello") == (200, "Hello again!")
    assert sorted(house.tags(project)) == sorted([first[:8], second[:8]])

    began = time.monotonic()
    back = house.json("rollback", project)
    assert time.monotonic() - began < 10
    assert (back["state"], back["kind"], back["number"]) == ("live", "rollback", 3)
    assert house.ask("flask-hello") == (200, "Hello, Docker!")
    listed = house.json("releases", project)
    assert [(entry["number"], entry["state"], entry["sha"]) for entry in listed] == [
        (3, "live", first), (2, "retired", second), (1, "retired", first),
    ]  # fmt: skip


def test_status_names_what_runs_and_its_memory(house: House) -> None:
    status = house.json("status")
    assert {part["name"] for part in status["parts"]} == {"supervisor", "engine", "server", "edge"}
    assert all(part["memory_bytes"] > 0 for part in status["parts"])
