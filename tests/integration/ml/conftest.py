from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_house import MlHouse, ml_house
from riad.kernel.db import Database


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Iterator[MlHouse]:
    """On each database."""
    with ml_house(database, tmp_path) as made:
        yield made


@pytest.fixture
def sqlite_house(sqlite_database: Database, tmp_path: Path) -> Iterator[MlHouse]:
    with ml_house(sqlite_database, tmp_path) as made:
        yield made
