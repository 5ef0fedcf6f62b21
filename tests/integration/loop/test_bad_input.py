"""What people get wrong: each answer names the thing, the line where there is one, and the way out."""

from __future__ import annotations

import socket
import urllib.error
from pathlib import Path

import pytest

from integration.loop.house import House, Repository

pytestmark = [pytest.mark.root, pytest.mark.slow]


def pipeline_errors(house: House, repository: Repository, text: str) -> str:
    """Why the pipeline of a push with this .gitlab-ci.yml failed."""
    repository.write(".gitlab-ci.yml", text)
    done = house.pipeline(repository.project, repository.push_change("Change the pipeline"))
    assert done["status"] == "failed"
    assert done["jobs"] == {}
    return str(done["yaml_errors"])


def failed_log(house: House, repository: Repository, job: str) -> str:
    """The log of the job that failed after a push of what the working copy has."""
    done = house.pipeline(repository.project, repository.push_change("Try it"))
    assert done["jobs"][job]["status"] == "failed"
    return house.log(repository.project, done["jobs"][job]["id"])


def test_invalid_yaml_is_named_with_its_line(house: House, tmp_path: Path) -> None:
    repository = house.new_project(tmp_path / "work", "bad/yaml")
    message = pipeline_errors(house, repository, "test:\n  script:\n    - true\n   - false\n")
    assert "line 4" in message


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(house: House, tmp_path: Path) -> None:
    repository = house.new_project(tmp_path / "work", "bad/key")
    message = pipeline_errors(house, repository, "test:\n  scirpt:\n    - true\n")
    assert "line 2" in message
    assert "scirpt" in message
    assert "script" in message.replace("scirpt", "")


def test_a_dockerfile_error_is_named_with_its_line_in_the_jobs_log(house: House, tmp_path: Path) -> None:
    repository = house.new_project(tmp_path / "work", "bad/dockerfile")
    repository.replace("Dockerfile", "WORKDIR /app", "WORKDRI /app")
    log = failed_log(house, repository, "build")
    assert "line 2" in log
    assert "unknown instruction: WORKDRI" in log
    assert "WORKDIR" in log


def test_a_base_image_that_is_nowhere_is_named_with_the_ways_out(house: House, tmp_path: Path) -> None:
    repository = house.new_project(tmp_path / "work", "bad/base")
    repository.replace("Dockerfile", "FROM python:3.11", "FROM nowhere.invalid/base:9")
    log = failed_log(house, repository, "build")
    assert "nowhere.invalid/base:9" in log


def test_a_job_whose_image_is_nowhere_says_which_and_why(house: House, tmp_path: Path) -> None:
    repository = house.new_project(tmp_path / "work", "bad/image")
    repository.replace(".gitlab-ci.yml", "image: python:3.11", "image: nowhere.invalid/python:9")
    done = house.pipeline(repository.project, repository.push_change("Try it"))
    assert done["jobs"]["test"]["failure_reason"] == "image_pull_failure"
    assert "nowhere.invalid/python:9" in done["jobs"]["test"]["failure_message"]


def test_a_wrong_token_says_what_to_use_instead(house: House, tmp_path: Path) -> None:
    repository = house.new_project(tmp_path / "work", "bad/token")
    repository.commit("Try it")
    repository.git("remote", "set-url", "origin", repository.remote(token="rpat-wrong"))
    pushed = repository.push(check=False)
    assert pushed.returncode != 0
    assert "token is not valid" in pushed.stderr
    assert "Authentication failed" in pushed.stderr
    asked = house.riad("project", "list", check=False, RIAD_TOKEN="rpat-wrong")
    assert asked.returncode != 0
    assert "does not take this token" in asked.stderr
    assert "RIAD_TOKEN" in asked.stderr
    with pytest.raises(urllib.error.HTTPError, match="401"):
        house.api("/v4/projects", token="rpat-wrong")


def test_a_push_by_someone_who_is_no_member_is_refused_with_the_reason(house: House, tmp_path: Path) -> None:
    project = "bad/stranger"
    repository = house.new_project(tmp_path / "work", project)
    repository.push_change("Begin")
    body = {"username": "eve", "name": "Eve", "email": "eve@localhost", "password": "correct horse battery"}
    user = house.api("/v4/users", {**body, "skip_confirmation": True})
    token = house.api(f"/v4/users/{user['id']}/personal_access_tokens", {"name": "git", "scopes": ["api"]})["token"]
    repository.git("remote", "set-url", "origin", repository.remote(user="eve", token=token))

    repository.commit("Sneak in")
    hidden = repository.push(check=False)  # a private project is not even there for her
    assert hidden.returncode != 0
    assert "not found" in hidden.stderr

    house.api("/v4/projects/bad%2Fstranger/members", {"user_id": user["id"], "access_level": 20})
    before = house.of(project, "repository/branches/main")["commit"]["id"]
    refused = repository.push(check=False)
    assert refused.returncode != 0
    assert "developer" in refused.stderr.lower()
    assert house.of(project, "repository/branches/main")["commit"]["id"] == before


def test_a_taken_port_says_who_has_it_and_how_to_choose_another(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    house = House.build(tmp_path_factory.mktemp("taken"))
    with socket.create_server(("127.0.0.1", house.port)):
        said = house.riad("up", check=False)
    assert said.returncode != 0
    assert f"port {house.port} is taken by" in said.stderr
    assert "RIAD_PORT=" in said.stderr
    assert not house.run.exists()


def test_a_project_without_a_pipeline_file_gets_no_pipeline(house: House, tmp_path: Path) -> None:
    repository = house.new_project(tmp_path / "work", "bad/nothing")
    (repository.folder / ".gitlab-ci.yml").unlink()
    repository.push_change("Only files")
    assert house.json("pipeline", "list", repository.project) == []
