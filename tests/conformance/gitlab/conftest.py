"""GitLab's API with a forge behind it, on a real uvicorn, driven by python-gitlab."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import gitlab
import pytest
from fastapi import FastAPI

from riad.forge.repositories import Repositories
from riad.identity import root, tokens, users
from riad.kernel.clock import FixedClock
from riad.kernel.db import Database
from riad.protocols import git
from riad.protocols import gitlab as api
from serving import Serve

CLOCK = FixedClock(datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC))
TOKEN = "a-token-of-roots"


@dataclass
class House:
    address: str
    database: Database

    def client(self, token: str | None = TOKEN) -> gitlab.Gitlab:
        return gitlab.Gitlab(self.address, private_token=token, keep_base_url=True)

    def user(self, name: str, *scopes: str) -> gitlab.Gitlab:
        """A client for a new user's token."""
        with self.database.write() as session:
            user = users.create(session, username=name, password=f"secret-of-{name}", clock=CLOCK)
            secret = tokens.create_personal(session, user.id, "t", scopes or ("api",), clock=CLOCK)[1]
        client = self.client(secret)
        client.auth()
        return client


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path, serve: Serve) -> House:
    repositories = Repositories(tmp_path / "repositories")
    with sqlite_database.write() as session:
        root.ensure(session, password="roots-password", token=TOKEN, clock=CLOCK)
    app = FastAPI()
    app.include_router(git.router(git.Services(sqlite_database, CLOCK, repositories)))
    app.include_router(api.router(api.Services(sqlite_database, CLOCK, repositories, external_url="http://riad.test")))
    app.include_router(api.fallback())
    return House(serve(app), sqlite_database)


@pytest.fixture
def gl(house: House) -> gitlab.Gitlab:
    return house.client()
