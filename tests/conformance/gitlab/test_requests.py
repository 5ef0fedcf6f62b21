"""What python-gitlab does not show: cookies, other sites' pages, odd bytes, jobs, and git beside the API."""

import os
import subprocess
from datetime import UTC, datetime

import httpx
import pytest

from riad.identity import sessions, tokens, users
from riad.kernel.clock import FixedClock

CLOCK = FixedClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
TOKEN = {"PRIVATE-TOKEN": "a-token-of-roots"}


@pytest.fixture
def http(house):
    with httpx.Client(base_url=house.address + "/api/v4") as client:
        yield client


def cookie(house, user_id: int = 1) -> dict[str, str]:
    with house.database.write() as session:
        return {"Cookie": f"riad_session={sessions.open(session, user_id, clock=CLOCK)}"}


def test_the_webs_cookie_reads_and_writes_only_from_our_own_pages(house, http) -> None:
    signed_in = cookie(house)
    body = {"name": "x"}
    host = house.address.removeprefix("http://")
    assert http.get("/user", headers=signed_in).json()["username"] == "root"
    assert http.post("/projects", json=body, headers=signed_in).status_code == 403
    elsewhere = {**signed_in, "Origin": f"http://evil.{host}"}
    assert http.post("/projects", json=body, headers=elsewhere).status_code == 403
    assert http.post("/projects", json=body, headers={**signed_in, "Origin": house.address}).status_code == 201


def test_whoever_has_a_one_time_password_can_do_nothing_yet(house, http) -> None:
    with house.database.write() as session:
        users.change_password(session, 1, "first and only", one_time=True)
    assert "choose your own password" in http.get("/user", headers=cookie(house)).text
    answer = http.get("/user", auth=("root", "first and only"))
    assert (answer.status_code, "one-time password" in answer.text) == (403, True)


def test_a_job_reads_its_own_project_and_changes_nothing(house, http) -> None:
    own, other = (http.post("/projects", json={"name": name}, headers=TOKEN).json()["id"] for name in ("a", "b"))
    with house.database.write() as session:
        secret = tokens.issue_job(session, user_id=1, project_id=own, job_id=9, clock=CLOCK)
    job = {"JOB-TOKEN": secret}
    assert http.get(f"/projects/{own}", headers=job).status_code == 200
    assert http.get(f"/projects/{other}", headers=job).status_code == 404
    assert http.delete(f"/projects/{own}", headers=job).status_code == 403
    assert http.get("/personal_access_tokens", headers=job).status_code == 403
    assert http.get("/groups", headers=job).json() == []


@pytest.mark.parametrize(
    "path",
    [
        "/projects/a%00b",
        "/projects/a%2Fb%00",
        "/users?search=%00",
        "/groups/%00",
        "/projects?search=%00",
    ],
)
def test_a_nul_is_refused_before_it_gets_anywhere(http, path: str) -> None:
    assert http.get(path, headers=TOKEN).status_code in {400, 404}


def test_half_a_character_is_refused(http) -> None:
    answer = http.post(
        "/projects", content=b'{"name": "\\ud800"}', headers={**TOKEN, "Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "name is invalid"})


def test_tokens_in_the_address_work_and_are_not_repeated(http) -> None:
    answer = http.get("/projects?private_token=a-token-of-roots&per_page=1")
    assert answer.status_code == 200
    assert "a-token" not in answer.headers["link"]


def test_forms_are_read_as_well_as_json(http) -> None:
    answer = http.post("/projects", data={"name": "From a form", "visibility": "public"}, headers=TOKEN)
    assert (answer.json()["path"], answer.json()["visibility"]) == ("from-a-form", "public")


def test_what_git_pushes_the_api_shows(house, http, tmp_path) -> None:
    http.post("/projects", json={"name": "hello"}, headers=TOKEN)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "a@b",
    }  # fmt: skip
    (tmp_path / "README.md").write_text("Hello\n")
    url = house.address.replace("://", "://root:a-token-of-roots@") + "/root/hello.git"
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "README.md"],
        ["commit", "--quiet", "--message", "First"],
        ["remote", "add", "origin", url],
        ["push", "--quiet", "--set-upstream", "origin", "main"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, env=environment, check=True, timeout=60)
    project = http.get("/projects/root%2Fhello", headers=TOKEN).json()
    assert (project["empty_repo"], project["default_branch"]) == (False, "main")
    (commit,) = http.get("/projects/root%2Fhello/repository/commits", headers=TOKEN).json()
    assert (commit["title"], commit["author_name"]) == ("First", "Ada")
    raw = http.get("/projects/root%2Fhello/repository/files/README.md/raw", headers=TOKEN)
    assert (raw.text, raw.headers["x-content-type-options"]) == ("Hello\n", "nosniff")


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5000, "٩"])
@pytest.mark.parametrize(
    "path", ["/projects/{}", "/groups/{}", "/users/{}", "/projects?page={}", "/projects?id_after={}&pagination=keyset"]
)
def test_a_number_that_no_database_holds_names_nothing(http, path: str, number: str) -> None:
    assert http.get(path.format(number), headers=TOKEN).status_code in {400, 404}


def test_a_body_nested_beyond_reading_is_refused(http) -> None:
    headers = {**TOKEN, "Content-Type": "application/json"}
    answer = http.post("/projects", content=b'{"name": ' + b"[" * 200_000, headers=headers)
    assert answer.status_code == 400
