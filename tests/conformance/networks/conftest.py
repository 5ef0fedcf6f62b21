from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from engine_fixture import RunningEngine, running_engine


@pytest.fixture(scope="module")
def module_engine() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as engine:
        yield engine


@pytest.fixture
def engine(module_engine: RunningEngine) -> Iterator[RunningEngine]:
    """Without containers, networks and volumes, before and after."""
    yield module_engine
    if module_engine.process is not None and module_engine.process.poll() is not None:
        module_engine.start()
    module_engine.remove_everything()
    module_engine.docker("network", "prune", "-f")
    module_engine.docker("volume", "prune", "-f", "--filter", "all=true")
