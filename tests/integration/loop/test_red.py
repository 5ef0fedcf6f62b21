"""What does not pass does not go live, and says why; what is live goes on serving."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.loop.house import House
from integration.loop.traffic import Traffic

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_a_failing_test_stops_the_push_before_build_and_deploy(house: House, tmp_path: Path) -> None:
    project = "red/failing-test"
    repository = house.new_project(tmp_path / "work", project)
    house.succeeds(project, repository.push_text("version 1"))

    bad = repository.push_text("nonsense")
    done = house.pipeline(project, bad)
    assert done["status"] == "failed"
    assert {name: job["status"] for name, job in done["jobs"].items()} == {
        "test": "failed", "build": "skipped", "deploy": "skipped",
    }  # fmt: skip
    assert done["jobs"]["test"]["failure_reason"] == "script_failure"
    report = house.of(project, f"pipelines/{done['id']}/test_report")
    cases = [case for suite in report["test_suites"] for case in suite["test_cases"]]
    assert [(case["name"], case["status"]) for case in cases] == [("test_the_page_says_its_version", "failed")]
    assert "'nonsense' is no version" in cases[0]["system_output"]
    assert bad[:8] not in house.tags(project)
    assert [entry["number"] for entry in house.releases(project)] == [1]
    assert house.ask("failing-test") == (200, "version 1\n")


def test_a_release_that_never_gets_healthy_never_serves(house: House, tmp_path: Path) -> None:
    project = "red/sick"
    repository = house.new_project(tmp_path / "work", project)
    repository.replace(".gitlab-ci.yml", "--health /health", "--health /health --timeout 3")
    house.succeeds(project, repository.push_text("version 1"))

    repository.replace("app.py", "self.send_response(200)", "self.send_response(500)")
    repository.replace("app.py", "listening on port 8000", "cannot find the database")
    with Traffic(house.port, "sick", 20) as traffic:
        done = house.pipeline(project, repository.push_text("version 2"))
    assert traffic.failures == []
    assert traffic.seen == {"version 1": traffic.answered}

    assert {name: job["status"] for name, job in done["jobs"].items()} == {
        "test": "success", "build": "success", "deploy": "failed",
    }  # fmt: skip
    log = house.log(project, done["jobs"]["deploy"]["id"])
    assert "release 2 did not become healthy within 3 s" in log
    assert "500" in log.partition("last answer:")[2].splitlines()[0]
    assert "cannot find the database" in log.partition("last log lines:")[2]
    assert [(entry["number"], entry["state"]) for entry in house.releases(project)] == [
        (2, "failed"), (1, "live"),
    ]  # fmt: skip
    assert "riad-sick-r2" not in house.docker("ps", "--all", "--format", "{{.Names}}")


def test_a_release_whose_container_ends_says_how(house: House, tmp_path: Path) -> None:
    project = "red/short-lived"
    repository = house.new_project(tmp_path / "work", project)
    house.succeeds(project, repository.push_text("version 1"))

    repository.replace("app.py", 'print("listening on port 8000")', 'raise SystemExit("no licence")')
    done = house.pipeline(project, repository.push_text("version 2"))
    log = house.log(project, done["jobs"]["deploy"]["id"])
    assert "ended with exit code 1" in log
    assert "no licence" in log
    assert house.ask("short-lived") == (200, "version 1\n")
