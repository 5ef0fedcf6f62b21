from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from fakes import registry_house
from fakes.asgi import TestClient
from fakes.registry_house import PASSWORD, House
from riad.kernel.db import Database
from riad.protocols.ocidist.router import router
from riad.protocols.ocidist.services import Services


@pytest.fixture
def house(tmp_path: Path, database: Database) -> House:
    return registry_house.build(tmp_path, database)


def client_of(house: House) -> TestClient:
    """A client without credentials; `auth=` of a request gives some."""
    app = FastAPI()
    app.include_router(
        router(
            Services(
                database=house.database,
                clock=house.clock,
                blobs=house.blobs,
                parts=house.parts,
                projects=house.projects,
                signing_key=b"k" * 32,
                external_url="http://localhost:8080",
                cache=house.cache,
            )
        )
    )
    return TestClient(app, base_url="http://localhost:8080")


@pytest.fixture
def registry(house: House) -> Iterator[TestClient]:
    """As `dana`, who may push to demo/app."""
    client = client_of(house)
    client.auth = ("dana", PASSWORD)
    yield client
    client.close()
