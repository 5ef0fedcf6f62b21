"""A forge behind a real uvicorn, and a stock git."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI

from forges import CLOCK, Forge, Git
from riad.forge.repositories import Repositories
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.pipelines import push_options
from riad.protocols import git
from serving import Serve


@pytest.fixture
def clock() -> Clock:
    return CLOCK


@pytest.fixture
def forge(sqlite_database: Database, tmp_path: Path, serve: Serve) -> Forge:
    repositories = Repositories(tmp_path / "repositories")
    services = git.Services(
        sqlite_database,
        CLOCK,
        repositories,
        remarks=lambda project, _: (f"Watch it: http://riad/{project.path}",),
        objection=push_options.objection,
    )
    app = FastAPI()
    app.include_router(git.router(services))
    return Forge(sqlite_database, repositories, tmp_path, serve(app))


@pytest.fixture
def git_program(tmp_path: Path) -> Git:
    home = tmp_path / "home"
    home.mkdir()
    return Git(home)
