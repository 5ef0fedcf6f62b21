"""MLflow's API with a forge's projects behind it, on a real uvicorn, for the stock client and for plain HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

import riad.server.tables  # noqa: F401 -- every table is made
from forges import Forge
from riad.forge.model import Project
from riad.forge.repositories import Repositories
from riad.identity import root, tokens, users
from riad.identity.model import User
from riad.kernel.blobs import FolderBlobs
from riad.kernel.clock import SystemClock
from riad.kernel.db import Database
from riad.ml import experiments
from riad.ml.sql import Writer
from riad.protocols import mlflow
from serving import served

CLOCK = SystemClock()
TOKEN = "a-token-of-roots"


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any

    @property
    def code(self) -> str:
        return str(self.body["error_code"])


@dataclass
class MlHouse:
    address: str
    database: Database
    forge: Forge
    writer: Writer

    def ask(self, method: str, path: str, body: object = None, *, token: str | None = TOKEN) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.address + path, data=data, method=method)
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return Answer(answer.status, _decoded(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _decoded(error.read()))

    def mlflow(self, method: str, path: str, body: object = None, **more: Any) -> Answer:
        return self.ask(method, f"/api/2.0/mlflow/{path}", body, **more)

    def experiment(self, name: str = "first") -> str:
        return str(self.mlflow("POST", "experiments/create", {"name": name}).body["experiment_id"])

    def run(self, experiment: str = "0", **more: Any) -> str:
        asked = {"experiment_id": experiment, "start_time": 1, **more}
        return str(self.mlflow("POST", "runs/create", asked).body["run"]["info"]["run_id"])

    def user(self, name: str) -> tuple[User, str]:
        """A new user, and a token of theirs."""
        with self.database.write() as session:
            user = users.create(session, username=name, password=f"secret-of-{name}", clock=CLOCK)
            return user, tokens.create_personal(session, user.id, "t", ("api",), clock=CLOCK)[1]

    def job_token(self, project: Project, user: User, job_id: int = 7) -> str:
        with self.database.write() as session:
            return tokens.issue_job(session, user_id=user.id, project_id=project.id, job_id=job_id, clock=CLOCK)


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        return raw


@contextmanager
def ml_house(database: Database, folder: Path) -> Iterator[MlHouse]:
    with database.write() as session:
        root.ensure(session, password="roots-password", token=TOKEN, clock=CLOCK)
    experiments.ensure_first(database, clock=CLOCK)
    writer = Writer(database)
    services = mlflow.Services(database, CLOCK, writer, FolderBlobs(folder / "blobs"), folder / "incoming")
    app = FastAPI()
    app.include_router(mlflow.router(services))
    with served(app) as address:
        yield MlHouse(address, database, Forge(database, Repositories(folder / "repositories"), folder), writer)
    writer.close()
