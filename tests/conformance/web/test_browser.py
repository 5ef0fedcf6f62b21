"""The pages in a real Chromium: they fit, run under their own policy, follow what happens, and need no mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from fakes import laboratory
from fakes.web_house import House
from riad.pipelines.status import Status
from riad.pipelines.store import JobRow, PipelineRow

from .conftest import opened

pytestmark = pytest.mark.browser
P = "/demo/flask-hello"


def every_page(house: House) -> Iterator[str]:
    yield from ("/", "/projects/new", P, f"{P}/-/tree/main", f"{P}/-/blob/main/app.py", f"{P}/-/commits/main")
    yield from (f"{P}/-/commit/{house.shas[3]}", f"{P}/-/branches", f"{P}/-/tags", f"{P}/-/pipelines")
    yield from (f"{P}/-/pipelines/{number}" for number in house.pipelines)
    yield f"{P}/-/pipelines/{house.pipelines[1]}/test_report"
    yield from (f"{P}/-/jobs/{house.jobs[name]}" for name in ("failed/test", "running/build", "success/smoke"))
    yield from (f"{P}/-/environments", f"{P}/-/environments/{house.environment_id}/rollback/2")
    yield from (f"{P}/-/container_registry", f"{P}/-/settings", "/-/profile", "/users/password", "/admin/users")
    yield "/demo/handbook"
    lab = laboratory.filled(house.database, house.project.id)
    runs = f"{P}/-/ml/experiments/{lab.experiment}"
    yield from (f"{P}/-/ml/experiments", runs, f"{runs}/runs/{lab.runs[0]}", f"{P}/-/ml/models", "/-/ml/experiments")
    yield from (f"{runs}/compare?run={'&run='.join(lab.runs)}", f"{P}/-/ml/models/churn%20model", "/-/ml/models")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_page_fits_and_breaks_no_policy(
    browser: Browser, house: House, address: str, width: int, scheme: str
) -> None:
    watched = opened(browser, address, width=width, scheme=scheme)
    for path in every_page(house):
        watched.page.goto(path)
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert watched.page.locator("h1:not(.prose h1)").count() == 1, path
    assert watched.complaints == []


def test_a_log_grows_on_the_page_and_folds(browser: Browser, house: House, address: str) -> None:
    watched = opened(browser, address)
    page, job = watched.page, house.jobs["running/build"]
    page.goto(f"{P}/-/jobs/{job}")
    house.services.traces.append(job, b"\x1b[0m\nsection_start:5:later\r\x1b[0KLater\n\x1b[31minside\x1b[0m\n")
    inside = page.locator(".row", has_text="inside")
    expect(inside).to_be_visible()
    assert inside.locator(".f1").evaluate("e => getComputedStyle(e).color") == "rgb(226, 87, 74)"
    page.locator(".opens", has_text="Later").get_by_role("button").click()
    expect(inside).to_be_hidden()
    house.services.traces.append(job, b"section_end:70:later\r\x1b[0K\nlast words\n")
    expect(page.locator(".took", has_text="01:05")).to_be_visible()
    with house.database.write() as session:
        session.get_one(JobRow, job).status = Status.SUCCESS
    expect(page.locator("#job .s-success")).to_be_visible()
    expect(page.locator(".row", has_text="last words")).to_have_count(1)
    assert watched.complaints == []


def test_a_link_to_a_line_marks_it(browser: Browser, house: House, address: str) -> None:
    page = opened(browser, address).page
    page.goto(f"{P}/-/jobs/{house.jobs['failed/test']}#L5")
    expect(page.locator("#L5")).to_have_class("row marked")
    expect(page.locator("#L5")).to_be_visible()


def test_a_pipeline_turns_green_before_ones_eyes(browser: Browser, house: House, address: str) -> None:
    watched = opened(browser, address)
    page = watched.page
    page.goto(f"{P}/-/pipelines/{house.pipelines[2]}")
    expect(page.locator(".edges path")).to_have_count(3)
    with house.database.write() as session:
        session.get_one(JobRow, house.jobs["running/build"]).status = Status.SUCCESS
        session.get_one(PipelineRow, house.pipelines[2]).status = Status.SUCCESS
    expect(page.locator(".bar .status.s-success")).to_have_text("passed")
    expect(page.locator(".edges path")).to_have_count(3)
    assert watched.complaints == []


def test_rolling_back_takes_two_presses(browser: Browser, house: House, address: str) -> None:
    page = opened(browser, address, user="dana").page
    page.goto(f"{P}/-/environments")
    page.get_by_role("link", name="Roll back to release 2").click()
    page.get_by_role("button", name="Roll back to release 2").click()
    expect(page.get_by_role("status")).to_contain_text("is being rolled back")
    expect(page.get_by_text("rolling out").first).to_be_visible()
    assert house.asked.woken == ["rollouts"]


def test_the_keyboard_alone_is_enough(browser: Browser, address: str) -> None:
    page = opened(browser, address).page
    page.goto(P)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    reached = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.innerText.trim()"))
    assert {"Overview", "Files", "Pipelines", "Environments"} <= reached
    page.locator(".menu summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_a_branch_is_switched_where_one_is(browser: Browser, address: str) -> None:
    page = opened(browser, address).page
    page.goto(f"{P}/-/tree/main/tests")
    page.get_by_label("Branch").select_option("feature/longer-greeting")
    page.wait_for_url(f"**{P}/-/tree/feature/longer-greeting/tests")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(browser: Browser, house: House, address: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text."""
    page = opened(browser, address, scheme=scheme).page
    job = f"{P}/-/jobs/{house.jobs['failed/test']}"
    for path in (f"{P}/-/environments", f"{P}/-/pipelines", f"{P}/-/blob/main/app.py", job, P):
        page.goto(path)
        poor = page.evaluate((Path(__file__).parent / "contrast.js").read_text())
        assert poor == [], path
