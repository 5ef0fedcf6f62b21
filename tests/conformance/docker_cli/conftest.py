from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from engine_fixture import RunningEngine, engines, running_engine


@pytest.fixture(scope="module", params=engines())
def module_engine(request: pytest.FixtureRequest) -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine(kind=request.param) as engine:
        yield engine


@pytest.fixture
def engine(module_engine: RunningEngine) -> Iterator[RunningEngine]:
    """Without containers, before and after."""
    yield module_engine
    if module_engine.process is not None and module_engine.process.poll() is not None:
        module_engine.start()
    module_engine.remove_everything()
