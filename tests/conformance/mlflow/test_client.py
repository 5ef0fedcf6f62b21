"""The flows of the stock client, unmodified."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest


def test_a_run_logs_what_training_code_logs(mlflow: Any) -> None:
    mlflow.set_experiment("churn")
    with mlflow.start_run(run_name="one", tags={"team": "a"}, description="first try") as run:
        mlflow.log_param("depth", 3)
        mlflow.log_params({"rate": 0.1, "opt": "adam"})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"acc": 0.9, "nan": math.nan, "inf": math.inf})
        mlflow.set_tags({"b": "2"})
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_dict({"x": 1}, "config.json")
    client = mlflow.MlflowClient()
    found = client.get_run(run.info.run_id)
    assert found.data.params == {"depth": "3", "rate": "0.1", "opt": "adam"}
    assert found.data.metrics["loss"] == 0.2
    assert math.isnan(found.data.metrics["nan"])
    assert (found.data.tags["team"], found.data.tags["b"], found.info.status) == ("a", "2", "FINISHED")
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == [0, 1, 2, 3, 4]
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == ["config.json", "notes"]
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/a.txt") == "hello"


def test_folders_of_artifacts_go_up_and_come_down(mlflow: Any, tmp_path: Path) -> None:
    source = tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    (source / "a b.txt").write_text("text")
    (source / "deep" / "ü.bin").write_bytes(bytes(range(256)) * 5000)
    (source / "empty").write_bytes(b"")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(source), artifact_path="data")
    down = Path(
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="data", dst_path=str(tmp_path / "d"))
    )
    assert (down / "a b.txt").read_text() == "text"
    assert (down / "deep" / "ü.bin").read_bytes() == (source / "deep" / "ü.bin").read_bytes()
    assert (down / "empty").read_bytes() == b""
    client = mlflow.MlflowClient()
    client.delete_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"


def test_nested_runs_and_batches(mlflow: Any) -> None:
    from mlflow.entities import Metric, Param, RunTag

    client = mlflow.MlflowClient()
    with mlflow.start_run() as outer, mlflow.start_run(nested=True) as inner:
        metrics = [Metric(f"m{n % 7}", n / 10, 1000 + n, n) for n in range(1500)]
        client.log_batch(inner.info.run_id, metrics=metrics[:1000], params=[Param("p", "1")], tags=[RunTag("t", "x")])
        client.log_batch(inner.info.run_id, metrics=metrics[1000:])
    assert client.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert sum(len(client.get_metric_history(inner.info.run_id, f"m{n}")) for n in range(7)) == 1500


def test_a_parameter_cannot_change(mlflow: Any) -> None:
    with mlflow.start_run():
        mlflow.log_param("depth", 3)
        mlflow.log_param("depth", 3)
        with pytest.raises(mlflow.exceptions.MlflowException, match="already logged with value='3'") as caught:
            mlflow.log_param("depth", 4)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_runs_are_searched_as_a_frame(mlflow: Any) -> None:
    mlflow.set_experiment("search")
    for depth in range(4):
        with mlflow.start_run():
            mlflow.log_param("depth", depth)
            mlflow.log_metric("acc", depth / 4)
    frame = mlflow.search_runs(filter_string="metrics.acc >= 0.5", order_by=["metrics.acc DESC"])
    assert list(frame["params.depth"]) == ["3", "2"]
    assert list(mlflow.search_runs(experiment_names=["search"], max_results=1)["params.depth"]) == ["3"]


def test_autologging_of_scikit_learn_logs_a_model_that_loads(mlflow: Any) -> None:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    features, labels = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    mlflow.set_experiment("auto")
    mlflow.sklearn.autolog(silent=True)
    try:
        with mlflow.start_run() as run:
            LogisticRegression(C=2.0).fit(features, labels)
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)
    found = mlflow.MlflowClient().get_run(run.info.run_id)
    assert found.data.params["C"] == "2.0"
    assert found.data.metrics["training_accuracy_score"] == 1.0
    [logged] = mlflow.search_logged_models(output_format="list")
    assert (logged.source_run_id, logged.status) == (run.info.run_id, "READY")
    assert list(mlflow.sklearn.load_model(f"models:/{logged.model_id}").predict(features)) == [0, 0, 1, 1]
    assert list(mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(features)) == [0, 0, 1, 1]


def test_models_are_registered_aliased_staged_and_loaded(mlflow: Any) -> None:
    import numpy as np
    from sklearn.linear_model import LinearRegression

    features = np.array([[1.0], [2.0]])
    with mlflow.start_run() as run:
        fitted = LinearRegression().fit(features, [2.0, 4.0])
        info = mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name="price", serialization_format="cloudpickle"
        )
    client = mlflow.MlflowClient()
    assert client.get_model_version("price", "1").run_id == run.info.run_id
    assert mlflow.register_model(info.model_uri, "price").version == "2"
    client.set_registered_model_alias("price", "champion", "2")
    assert client.get_model_version_by_alias("price", "champion").version == "2"
    assert client.get_registered_model("price").aliases == {"champion": "2"}
    loaded = mlflow.pyfunc.load_model("models:/price@champion")
    assert list(loaded.predict(features).round(6)) == [2.0, 4.0]
    client.set_model_version_tag("price", "1", "checked", "yes")
    client.update_model_version("price", "1", description="the first")
    client.set_registered_model_tag("price", "team", "a")
    first = client.get_model_version("price", "1")
    assert (first.description, first.tags) == ("the first", {"checked": "yes"})
    client.transition_model_version_stage("price", "1", "Production")
    client.transition_model_version_stage("price", "2", "Production", archive_existing_versions=True)
    assert [each.version for each in client.get_latest_versions("price", ["Production"])] == ["2"]
    assert client.get_model_version("price", "1").current_stage == "Archived"
    assert mlflow.pyfunc.load_model("models:/price/Production").metadata.run_id == run.info.run_id
    assert [
        each.version for each in client.search_model_versions("name = 'price'", order_by=["version_number ASC"])
    ] == ["1", "2"]
    assert [each.name for each in client.search_registered_models("tags.team = 'a'")] == ["price"]
    client.delete_model_version("price", "2")
    assert client.get_registered_model("price").aliases == {}
    client.rename_registered_model("price", "prices")
    client.delete_registered_model("prices")
    assert client.search_registered_models() == []


def test_a_custom_model_and_its_data(mlflow: Any) -> None:
    import pandas as pd

    frame = pd.DataFrame({"x": [1, 2, 3], "y": [2, 4, 6]})

    class Double(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        def predict(self, context: Any, model_input: list[int], params: Any = None) -> list[int]:
            return [2 * each for each in model_input]

    mlflow.set_experiment("data")
    with mlflow.start_run() as run:
        dataset = mlflow.data.from_pandas(frame, name="pairs", targets="y")
        mlflow.log_input(dataset, context="training")
        info = mlflow.pyfunc.log_model(name="double", python_model=Double())
        mlflow.log_metric("rmse", 0.5, model_id=info.model_id, dataset=dataset)
    [read] = mlflow.MlflowClient().get_run(run.info.run_id).inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("pairs", dataset.digest)
    assert mlflow.pyfunc.load_model(info.model_uri).predict([1, 5]) == [2, 10]
    logged = mlflow.get_logged_model(info.model_id)
    assert [(each.key, each.value, each.dataset_name) for each in logged.metrics] == [("rmse", 0.5, "pairs")]
    found = mlflow.search_logged_models(filter_string="metrics.rmse < 1", output_format="list")
    assert [each.model_id for each in found] == [info.model_id]
    mlflow.set_logged_model_tags(info.model_id, {"stage": "checked"})
    assert mlflow.get_logged_model(info.model_id).tags["stage"] == "checked"
    assert len(mlflow.search_runs(filter_string="dataset.context = 'training'")) == 1


def test_experiments(mlflow: Any) -> None:
    client = mlflow.MlflowClient()
    made = client.create_experiment("one", tags={"a": "b"})
    client.set_experiment_tag(made, "c", "d")
    client.rename_experiment(made, "two")
    found = client.get_experiment_by_name("two")
    assert (found.experiment_id, found.tags) == (made, {"a": "b", "c": "d"})
    assert client.get_experiment_by_name("one") is None
    client.delete_experiment(made)
    assert [each.name for each in client.search_experiments()] == ["Default"]
    client.restore_experiment(made)
    assert {each.name for each in client.search_experiments(filter_string="tags.a = 'b'")} == {"two"}
    with pytest.raises(mlflow.exceptions.MlflowException) as caught:
        client.create_experiment("two")
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
