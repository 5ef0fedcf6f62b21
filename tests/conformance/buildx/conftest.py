from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from buildx_client import Buildx, plugin_folder
from engine_fixture import RunningEngine, running_engine


@pytest.fixture(scope="session")
def engine() -> Iterator[RunningEngine]:
    if plugin_folder("docker-buildx") is None:
        pytest.skip("docker has no buildx plugin here")
    with running_engine() as running:
        yield running


@pytest.fixture
def buildx(engine: RunningEngine, tmp_path: Path) -> Buildx:
    return Buildx(engine, tmp_path)


@pytest.fixture
def compose(buildx: Buildx) -> Buildx:
    if plugin_folder("docker-compose") is None:
        pytest.skip("docker has no compose plugin here")
    return buildx
