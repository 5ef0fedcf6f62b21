"""`database`: an empty database with every table that has been imported, once on SQLite and once on PostgreSQL.

`sqlite_database` is the same on SQLite alone, for tests whose subject is not what a database does. One PostgreSQL
server is started for a test session, when the first test asks, in a temporary folder and on a unix socket.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from riad.kernel.db import Base, Database

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=50")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        yield from _sqlite(tmp_path)
    else:
        yield from _postgresql(request.getfixturevalue("postgresql"))


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    yield from _sqlite(tmp_path)


def _sqlite(folder: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{folder / 'riad.db'}")
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


@dataclass(frozen=True)
class PostgreSQL:
    folder: Path

    def run(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"


def _postgresql(server: PostgreSQL) -> Iterator[Database]:
    name = f"t{uuid.uuid4().hex}"
    server.run(f"CREATE DATABASE {name}")
    database = Database(server.url(name))
    Base.metadata.create_all(database.engine)
    yield database
    database.close()
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), default=None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="riad-pg-"))
    as_user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if as_user is not None:
        shutil.chown(folder, as_user)
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        check=True,
        capture_output=True,
        user=as_user,
        cwd=folder,
    )
    options = [
        word
        for setting in (*FAST, "listen_addresses=", f"unix_socket_directories={folder}")
        for word in ("-c", setting)
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], stdout=log, stderr=log, user=as_user, cwd=folder
        )
    try:
        yield _ready(PostgreSQL(folder), process)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _ready(server: PostgreSQL, process: subprocess.Popen[bytes]) -> PostgreSQL:
    deadline = time.monotonic() + 30
    while True:
        try:
            server.run("SELECT 1")
            return server
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((server.folder / "log").read_text()) from None
            time.sleep(0.05)
