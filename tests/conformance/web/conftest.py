from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from fakes import web_house
from fakes.web_house import PASSWORD, House
from serving import served

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return web_house.build(tmp_path)


@pytest.fixture
def address(house: House) -> Iterator[str]:
    with served(house.app()) as url:
        yield url


class Watched:
    """A page, and everything that its browser complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


def opened(browser: Browser, address: str, *, width: int = 1280, scheme: str = "light", user: str = "root") -> Watched:
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    context.set_default_timeout(10_000)
    watched = Watched(context.new_page())
    watched.page.goto("/users/sign_in")
    watched.page.get_by_label("Username or email").fill(user)
    watched.page.get_by_label("Password").fill(PASSWORD)
    watched.page.locator("form button").click()
    watched.page.wait_for_url("**/")
    return watched
