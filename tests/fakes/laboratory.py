"""Runs and a model in a project, for pages: `churn` with three runs (one goes on), and a model of two versions."""

from __future__ import annotations

from dataclasses import dataclass

from riad.kernel.db import Database
from riad.ml import artifacts, experiments, models, runs
from riad.ml.sql import Sql, writing

NOW = 1_773_066_600_000


@dataclass(frozen=True)
class Laboratory:
    experiment: int
    runs: tuple[str, ...]


def filled(database: Database, project_id: int) -> Laboratory:
    with writing(database) as sql:
        experiment = experiments.create(sql, project_id=project_id, name="churn", tags={"team": "<b>a</b>"}, now=NOW)
        made = tuple(_run(sql, experiment, number) for number in range(3))
        model = models.create(
            sql, project_id=project_id, name="churn model", description="Who leaves", tags=(), now=NOW
        )
        for run in made[:2]:
            wanted = models.NewVersion(source=f"runs:/{run}/model", storage=f"runs:/{run}/model", run_uuid=run)
            models.add_version(sql, model, wanted, now=NOW)
        models.set_alias(sql, model, "champion", 2)
    return Laboratory(experiment, made)


def _run(sql: Sql, experiment: int, number: int) -> str:
    where = f"mlflow-artifacts:/{experiment}"
    started = NOW + number * 60_000
    uuid = runs.create(
        sql, experiment_id=experiment, artifact_location=where, user_id="dana", name=f"depth-{number}",
        started=started, tags=[("note", "<script>")],
    )  # fmt: skip
    place = runs.place(sql, uuid)
    runs.log_params(sql, place, [("depth", str(number)), ("a rather long name of a parameter", "x" * 80)])
    runs.log_metrics(sql, place, [("loss", 1 / (step + number + 1), started + step, step) for step in range(40)])
    runs.log_metrics(sql, place, [("accuracy", 0.8 + number / 20, started, 0), ("odd", float("nan"), started, 0)])
    dataset = runs.DatasetInput("customers", "d1f2", "local", "{}", tags={"mlflow.data.context": "training"})
    runs.log_datasets(sql, place, [dataset])
    root = runs.get(sql, uuid).artifact_uri.removeprefix("mlflow-artifacts:/")
    artifacts.put(sql, f"{root}/notes/about this.txt", digest="0" * 64, size=1234, now=NOW)
    if number < 2:
        runs.update(sql, place, status="FINISHED", ended=started + 5_000)
    return uuid
