from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_house import TOKEN, MlHouse, ml_house
from riad.kernel.db import Database


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Iterator[MlHouse]:
    with ml_house(database, tmp_path) as made:
        yield made


@pytest.fixture
def mlflow(house: MlHouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The stock client, pointed at the house by its address and a token alone."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # the client leaves things there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client's own
        import mlflow

        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(house.address)
        mlflow.set_registry_uri(house.address)
        mlflow.set_experiment("Default")
        yield mlflow
        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(before)
        mlflow.set_registry_uri(None)
