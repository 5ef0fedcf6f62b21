"""What the pages say and what their buttons do."""

import json
import re

import pytest
from sqlalchemy import select

from fakes.web_house import House
from riad.deploy import environments, releases
from riad.deploy.model import Kind, ReleaseState
from riad.forge import projects
from riad.identity import authenticate, users
from riad.pipelines.show import show_job, show_pipeline
from riad.pipelines.status import Status
from riad.pipelines.store import JobRow

from .conftest import Visitor

P = "/demo/flask-hello"


def test_the_list_shows_the_last_pipeline_and_the_live_address(dana: Visitor) -> None:
    page = dana.get("/").text
    assert "Flask <" not in page and "Flask hello" in page
    assert "failed" in page and 'href="http://flask-hello.localhost:8080"' in page


def test_projects_are_found_by_name(dana: Visitor) -> None:
    page = dana.get("/?search=hand").text
    assert "Handbook" in page and "Flask hello" not in page


def test_what_strangers_wrote_is_escaped_on_every_page(house: House, root: Visitor) -> None:
    pages = [P, f"{P}/-/blob/main/app.py", f"{P}/-/commit/{house.shas[3]}", f"{P}/-/jobs/{house.jobs['failed/test']}"]
    for page in (*pages, "/admin/users", f"{P}/-/pipelines/{house.pipelines[1]}/test_report"):
        text = root.get(page).text
        assert "<script>alert" not in text and "<b>" not in text and "<Response>" not in text
        assert "&lt;" in text


def test_a_ref_with_a_slash_and_a_path_are_told_apart(dana: Visitor) -> None:
    page = dana.get(f"{P}/-/tree/feature/longer-greeting/tests")
    assert page.status_code == 200 and "test_app.py" in page.text
    assert dana.get(f"{P}/-/blob/v1.0/Dockerfile").status_code == 200
    assert dana.get(f"{P}/-/blob/main/none.py").status_code == 404
    assert dana.get(f"{P}/-/tree/nowhere").status_code == 404


def test_a_raw_file_runs_nothing_here(dana: Visitor) -> None:
    text = dana.get(f"{P}/-/raw/main/app.py")
    assert (
        text.headers["content-type"].startswith("text/plain") and "sandbox" in text.headers["content-security-policy"]
    )
    assert "attachment" in dana.get(f"{P}/-/raw/main/logo.png").headers["content-disposition"]


def test_a_broken_pipeline_names_every_finding(house: House, dana: Visitor) -> None:
    page = dana.get(f"{P}/-/pipelines/{house.pipelines[3]}").text
    assert "<li>line 7: test/scripts: unknown key; did you mean `script`?</li>" in page
    assert "<li>line 3: test: `script` is missing</li>" in page


def test_a_failed_pipeline_names_the_test_that_failed(house: House, dana: Visitor) -> None:
    page = dana.get(f"{P}/-/pipelines/{house.pipelines[1]}").text
    assert "test_hello" in page and "1 test</strong>" not in page and "1 test failed" in page
    report = dana.get(f"{P}/-/pipelines/{house.pipelines[1]}/test_report").text
    assert report.index("test_hello") < report.index("test_health")
    assert "&lt;Response&gt; is not what it was" in report


def test_a_running_page_asks_again_and_a_finished_one_does_not(house: House, dana: Visitor) -> None:
    assert "hx-trigger" in dana.get(f"{P}/-/pipelines/{house.pipelines[2]}").text
    assert "hx-trigger" not in dana.get(f"{P}/-/pipelines/{house.pipelines[1]}").text
    part = dana.get(f"{P}/-/pipelines/{house.pipelines[2]}", headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<div id="pipeline"') and "<html" not in part


def test_a_log_is_followed_from_where_it_was_left(house: House, dana: Visitor) -> None:
    job = house.jobs["running/build"]
    first = re.search(r'data-state="([^"]+)"', dana.get(f"{P}/-/jobs/{job}").text)
    assert first is not None
    house.services.traces.append(job, b"\x1b[0m\n\x1b[32mmore\x1b[0m <tag>\nhalf")
    state = first[1].replace("&#34;", '"')
    piece = json.loads(dana.get(f"{P}/-/jobs/{job}/trace", params={"state": state}).text)
    assert '<span class="f2">more</span> &lt;tag&gt;' in piece["html"]
    assert "half" in piece["tail"] and not piece["over"]
    assert "Running with Riad" not in piece["html"]
    again = json.loads(dana.get(f"{P}/-/jobs/{job}/trace", params={"state": piece["state"]}).text)
    assert again["html"] == "" and "half" in again["tail"]


def test_a_log_that_was_written_anew_is_shown_anew(house: House, dana: Visitor) -> None:
    job = house.jobs["running/build"]
    piece = json.loads(dana.get(f"{P}/-/jobs/{job}/trace").text)
    house.services.traces.truncate(job, 0)
    house.services.traces.append(job, b"again\n")
    fresh = json.loads(dana.get(f"{P}/-/jobs/{job}/trace", params={"state": piece["state"]}).text)
    assert fresh["fresh"] and "again" in fresh["html"]


def test_a_log_is_downloaded_raw(house: House, dana: Visitor) -> None:
    raw = dana.get(f"{P}/-/jobs/{house.jobs['failed/test']}/raw")
    assert raw.headers["content-type"].startswith("text/plain") and "\x1b[36;1m" in raw.text


def test_cancelling_retrying_and_playing_reach_the_jobs(house: House, dana: Visitor) -> None:
    failed, manual = house.jobs["failed/test"], house.jobs["success/smoke"]
    dana.send(f"{P}/-/pipelines/{house.pipelines[2]}/cancel", page="/")
    dana.send(f"{P}/-/jobs/{failed}/retry", page="/")
    with house.database.read() as session:
        running = show_pipeline(session, house.pipelines[2])
        retried = session.scalars(select(JobRow).where(JobRow.name == "test", JobRow.attempt == 1)).one()
        assert running.stages[1].jobs[0].status is Status.CANCELING
        assert show_job(session, failed).retried and retried.user_id == house.dana.id
    dana.send(f"{P}/-/jobs/{manual}/play", page="/")
    with house.database.read() as session:
        assert show_job(session, manual).status is Status.PENDING
    assert house.asked.woken == ["pipelines"] * 3


def test_what_cannot_be_done_now_is_said(house: House, dana: Visitor) -> None:
    answer = dana.send(f"{P}/-/jobs/{house.jobs['success/test']}/play", page="/")
    assert answer.status_code == 409 and "can be played" in answer.text


def test_a_pipeline_is_run_by_hand(house: House, dana: Visitor) -> None:
    dana.send(f"{P}/-/pipelines", ref="main")
    assert house.asked.pipelines == [{"project_id": house.project.id, "ref": "main", "user_id": house.dana.id}]


def test_rolling_back_asks_first_then_makes_a_release(house: House, dana: Visitor) -> None:
    listed = dana.get(f"{P}/-/environments").text
    assert listed.count("/rollback/") == 1 and "KeyError" in listed
    question = dana.get(f"{P}/-/environments/{house.environment_id}/rollback/2").text
    assert "In service now" in question and "Build an image of it" in question
    page = f"{P}/-/environments/{house.environment_id}/rollback/2"
    answer = dana.send(f"{P}/-/environments/{house.environment_id}/rollback", page=page, number="2")
    assert "rolling out" in answer.text
    with house.database.read() as session:
        newest = releases.of_environment(session, house.environment_id)[0]
        assert environments.get(session, house.environment_id).name == "production"
    assert (newest.kind, newest.of, newest.state) == (Kind.ROLLBACK, 2, ReleaseState.DEPLOYING)
    assert newest.origin.user_id == house.dana.id
    assert house.asked.woken == ["rollouts"]


def test_a_new_project_in_a_new_group_says_how_to_push(house: House, dana: Visitor) -> None:
    answer = dana.send("/projects/new", name="My First App", new_group="lab", group="dana", visibility="private")
    assert answer.url.path == "/lab/my-first-app"
    assert "git push --set-upstream origin main" in answer.text
    taken = dana.send("/projects/new", name="My First App", group="lab", new_group="")
    assert taken.status_code == 422 and "already been taken" in taken.text and 'value="My First App"' in taken.text


def test_settings_change_what_they_say(house: House, root: Visitor) -> None:
    settings = f"{P}/-/settings"
    root.send(settings, name="Hello", description="", visibility="public", default_branch="feature/longer-greeting")
    root.send(f"{settings}/variables", page=settings, key="NEW_ONE", value="a\r\nb", masked="")
    root.send(f"{settings}/members", page=settings, username="sam", access="20")
    page = root.get(settings).text
    assert "NEW_ONE" in page and "@sam" in page
    with house.database.read() as session:
        changed = projects.get(session, house.project.id)
    assert (changed.name, changed.visibility, changed.default_branch) == ("Hello", "public", "feature/longer-greeting")
    refused = root.send(f"{settings}/variables", page=settings, key="SHORT", value="abc", masked="1")
    assert refused.status_code == 422 and "masked" in refused.text


def test_deleting_a_project_takes_its_name(house: House, root: Visitor) -> None:
    settings = f"{P}/-/settings"
    assert root.send(f"{settings}/delete", page=settings, confirm="flask").status_code == 422
    assert root.send(f"{settings}/delete", page=settings, confirm="demo/flask-hello").url.path == "/"
    assert root.get(P).status_code == 404


def test_a_maintainer_cannot_raise_anyone_above_themselves(house: House, root: Visitor, dana: Visitor) -> None:
    settings = f"{P}/-/settings"
    root.send(f"{settings}/members", page=settings, username="dana", access="40")
    refused = dana.send(f"{settings}/members", page=settings, username="sam", access="50")
    assert refused.status_code == 403


def test_a_token_is_shown_once_and_works(house: House, dana: Visitor) -> None:
    made = dana.send("/-/profile/tokens", page="/-/profile", name="git", scope_read_repository="1", expires_at="")
    secret = re.search(r"rpat-[\w-]+", made.text)
    assert secret is not None
    with house.database.read() as session:
        assert authenticate.token(session, secret[0], clock=house.clock).user is not None
    assert secret[0] not in dana.get("/-/profile").text
    none = dana.send("/-/profile/tokens", page="/-/profile", name="git")
    assert none.status_code == 422 and "at least one" in none.text


def test_an_administrator_adds_a_user_with_a_one_time_password(house: House, root: Visitor, stranger: Visitor) -> None:
    made = root.send("/admin/users", username="lina", name="Lina", email="lina@example.org")
    password = re.search(r"[a-z2-9]{4}(?:-[a-z2-9]{4}){3}", made.text)
    assert password is not None
    assert stranger.sign_in("lina", password[0]).url.path == "/users/password"
    root.send("/admin/users/change", page="/admin/users", username="lina", what="block")
    with house.database.read() as session:
        lina = users.by_username(session, "lina")
    assert lina is not None and lina.blocked


def test_an_image_shows_its_layers_its_signature_and_what_is_wrong_with_it(root: Visitor) -> None:
    shown = root.get(f"{P}/-/container_registry/image?repository=demo/flask-hello&tag=latest").text
    for text in (
        "COPY requirements.txt app.py /app/",
        "linux/amd64",
        "5000/tcp",
        "<strong>signature</strong>",
        "CVE-2026-0001",
        "mended in 3.0.16-1",
        "libssl3",
        "Debian:12: 2",
    ):
        assert text in shown, text
    gone = root.get(f"{P}/-/container_registry/image?repository=demo/flask-hello&tag=none")
    assert gone.status_code == 404


def test_rules_for_keeping_images_are_set_by_maintainers(root: Visitor, dana: Visitor) -> None:
    images = f"{P}/-/container_registry"
    sent = {"quota": "500", "protected": "v* release-*", "enabled": "1", "delete": ".*", "keep_n": "5"}
    assert "500 MB used" not in root.get(images).text
    shown = root.send(f"{images}/policy", page=images, older_than="30d", keep="", **sent).text
    assert "but for the newest 5 after 30d" in shown
    assert "of 500 MB used" in shown
    wrong = root.send(f"{images}/policy", page=images, older_than="soon", keep="", **sent)
    assert "is not a number with" in wrong.text
    assert "Save the rules" not in dana.get(images).text


def test_removing_a_tag_is_for_its_own_project(house: House, root: Visitor) -> None:
    images = f"{P}/-/container_registry"
    assert "docker push localhost:8080/demo/flask-hello:latest" in root.get(images).text
    root.send(f"{images}/delete", page=images, repository="demo/flask-hello", tag="latest")
    assert ">latest<" not in root.get(images).text
    elsewhere = "/demo/handbook/-/container_registry"
    refused = root.send(f"{elsewhere}/delete", page="/", repository="demo/flask-hello", tag=house.shas[0][:8])
    assert refused.status_code == 404


@pytest.mark.parametrize("page", ["?page=0", "?page=x", "?page=999999", "?search=%00"])
def test_odd_questions_get_a_page(dana: Visitor, page: str) -> None:
    assert dana.get("/" + page).status_code == 200
    assert dana.get(f"{P}/-/pipelines{page}").status_code == 200
    assert dana.get(f"{P}/-/commits/main{page}").status_code == 200


@pytest.mark.parametrize("name", ["riad.css", "riad.js", "htmx.min.js", "ansi.css", "mark.svg"])
def test_a_static_file_is_kept_by_browsers(stranger: Visitor, name: str) -> None:
    answer = stranger.get(f"/-/static/any/{name}")
    assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    assert stranger.get("/-/static/any/..%2fpages.py").status_code in (404, 303, 200)


def test_nothing_but_static_files_is_served_as_one(stranger: Visitor) -> None:
    for name in ("pages.py", "..%2fpages.py", ".hidden", "%2fetc%2fpasswd"):
        assert "import annotations" not in stranger.get(f"/-/static/any/{name}").text
