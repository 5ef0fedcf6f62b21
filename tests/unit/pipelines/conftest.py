from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.executor import FakeExecutor
from pipeline_room import Room, make_room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = make_room(tmp_path, FakeExecutor())
    yield made
    made.close()
