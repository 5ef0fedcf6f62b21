from __future__ import annotations

import re
from pathlib import Path

import pytest

from fakes import web_house
from fakes.asgi import TestClient
from fakes.web_house import PASSWORD, House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return web_house.build(tmp_path)


class Visitor:
    """A browser without scripts: keeps cookies, sends forms with the token of the page they are on."""

    def __init__(self, house: House) -> None:
        self.client = TestClient(house.app(), base_url="http://localhost:8080")

    def get(self, address: str, **options: object):  # type: ignore[no-untyped-def]
        return self.client.get(address, **options)  # type: ignore[arg-type]

    def token(self, page: str) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.get(page).text)
        assert found is not None, f"no form on {page}"
        return found[1]

    def send(self, address: str, *, page: str | None = None, follow: bool = True, **fields: str):  # type: ignore[no-untyped-def]
        data = {"csrf": self.token(page or address), **fields}
        return self.client.post(address, data=data, follow_redirects=follow)

    def sign_in(self, username: str, password: str = PASSWORD):  # type: ignore[no-untyped-def]
        return self.send("/users/sign_in", login=username, password=password, next="/")


@pytest.fixture
def stranger(house: House) -> Visitor:
    return Visitor(house)


@pytest.fixture
def root(house: House) -> Visitor:
    visitor = Visitor(house)
    visitor.sign_in("root")
    return visitor


@pytest.fixture
def dana(house: House) -> Visitor:
    visitor = Visitor(house)
    visitor.sign_in("dana")
    return visitor


@pytest.fixture
def sam(house: House) -> Visitor:
    visitor = Visitor(house)
    visitor.sign_in("sam")
    return visitor
