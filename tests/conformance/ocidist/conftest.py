from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from fakes import registry_house
from fakes.registry_house import House
from riad.kernel.clock import SystemClock
from riad.protocols.ocidist.router import router
from riad.protocols.ocidist.services import Services


@dataclass(frozen=True, slots=True)
class Served:
    house: House
    host: str


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Served]:
    """A registry on a real socket of localhost."""
    house = registry_house.build(tmp_path)
    app = FastAPI()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    host = f"localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    app.include_router(
        router(
            Services(
                database=house.database,
                clock=SystemClock(),
                blobs=house.blobs,
                parts=house.parts,
                projects=house.projects,
                signing_key=b"k" * 32,
                external_url=f"http://{host}",
                cache=house.cache,
            )
        )
    )
    yield Served(house, host)
    server.should_exit = True
    thread.join(10)
