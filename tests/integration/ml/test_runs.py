import math
import threading

import pytest

from ml_house import MlHouse


def metric(run: str, **more: object) -> dict[str, object]:
    return {"run_id": run, "key": "loss", "value": 0.5, "timestamp": 10, "step": 0, **more}


def data(house: MlHouse, run: str) -> dict[str, dict[str, object]]:
    found = house.mlflow("GET", f"runs/get?run_id={run}").body["run"]["data"]
    return {kind: {each["key"]: each["value"] for each in found[kind]} for kind in ("metrics", "params", "tags")}


def test_the_newest_point_is_the_one_of_the_highest_step_then_time(house: MlHouse) -> None:
    run = house.run()
    for value, at, step in ((1.0, 10, 3), (2.0, 99, 2), (3.0, 11, 3), (4.0, 10, 3)):
        house.mlflow("POST", "runs/log-metric", metric(run, value=value, timestamp=at, step=step))
    assert data(house, run)["metrics"] == {"loss": 3.0}
    history = house.mlflow("GET", f"metrics/get-history?run_id={run}&metric_key=loss").body["metrics"]
    assert [each["value"] for each in history] == [1.0, 4.0, 3.0, 2.0]


def test_numbers_that_json_has_no_word_for(house: MlHouse) -> None:
    run = house.run()
    for key, value in (("nan", "NaN"), ("inf", "Infinity"), ("minus", "-Infinity"), ("whole", 7), ("text", "0.25")):
        assert house.mlflow("POST", "runs/log-metric", metric(run, key=key, value=value)).status == 200
    assert data(house, run)["metrics"] == {
        "nan": "NaN", "inf": 1.7976931348623157e308, "minus": -1.7976931348623157e308, "whole": 7.0, "text": 0.25,
    }  # fmt: skip


def test_numbers_of_64_bits_come_as_texts_too(house: MlHouse) -> None:
    run = house.run()
    largest = 2**63 - 1
    asked = metric(run, timestamp=str(largest), step=str(-5))
    assert house.mlflow("POST", "runs/log-metric", asked).status == 200
    [found] = house.mlflow("GET", f"metrics/get-history?run_id={run}&metric_key=loss").body["metrics"]
    assert (found["timestamp"], found["step"]) == (largest, -5)
    assert house.mlflow("POST", "runs/log-metric", metric(run, step=2**63)).code == "INVALID_PARAMETER_VALUE"


def test_a_batch_is_kept_whole_or_not_at_all(house: MlHouse) -> None:
    run = house.run()
    house.mlflow("POST", "runs/log-parameter", {"run_id": run, "key": "a", "value": "1"})
    batch = {
        "run_id": run,
        "metrics": [metric(run)],
        "tags": [{"key": "t", "value": "x"}],
        "params": [{"key": "b", "value": "2"}, {"key": "a", "value": "other"}],
    }
    answer = house.mlflow("POST", "runs/log-batch", batch)
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")
    assert "already logged with value='1'" in answer.body["message"]
    found = data(house, run)
    assert (found["metrics"], found["params"]) == ({}, {"a": "1"})
    assert "t" not in found["tags"]
    assert house.mlflow("POST", "runs/log-parameter", {"run_id": run, "key": "a", "value": "1"}).status == 200


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"metrics": [{"key": "a", "value": 1, "timestamp": 1}] * 1001}, "at most 1000 metrics"),
        ({"params": [{"key": f"p{n}", "value": ""} for n in range(101)]}, "at most 100 params"),
        ({"tags": [{"key": f"t{n}", "value": ""} for n in range(101)]}, "at most 100 tags"),
        ({"metrics": [{"key": "../a", "value": 1, "timestamp": 1}]}, "metrics[0].key"),
        ({"metrics": [{"key": "a", "value": "high", "timestamp": 1}]}, "metrics[0].value"),
        ({"metrics": [{"key": "a", "timestamp": 1}]}, "metrics[0].value"),
        ({"metrics": {"key": "a"}}, "'metrics'"),
        ({"params": [{"key": "a", "value": "x" * 6001}]}, "6000"),
        ({"params": [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]}, "Duplicate parameter"),
        ({"tags": [{"key": "x" * 251, "value": ""}]}, "250"),
        ({"tags": [{"key": "a", "value": "x" * 8001}]}, "8000"),
        ({"run_id": ""}, "'run_id'"),
    ],
)
def test_a_bad_batch_names_what_is_bad(sqlite_house: MlHouse, change: dict[str, object], complaint: str) -> None:
    answer = sqlite_house.mlflow("POST", "runs/log-batch", {"run_id": sqlite_house.run(), **change})
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")
    assert complaint in answer.body["message"]


def test_runs_and_experiments_are_deleted_and_restored(house: MlHouse) -> None:
    experiment = house.experiment()
    run = house.run(experiment)
    assert house.mlflow("POST", "runs/delete", {"run_id": run}).status == 200
    assert house.mlflow("POST", "runs/log-metric", metric(run)).code == "INVALID_PARAMETER_VALUE"
    assert house.mlflow("GET", f"runs/get?run_id={run}").body["run"]["info"]["lifecycle_stage"] == "deleted"
    assert house.mlflow("POST", "runs/restore", {"run_id": run}).status == 200
    assert house.mlflow("POST", "experiments/delete", {"experiment_id": experiment}).status == 200
    refused = house.mlflow("POST", "runs/create", {"experiment_id": experiment})
    assert refused.code == "INVALID_PARAMETER_VALUE"
    again = house.mlflow("POST", "experiments/create", {"name": "first"})
    assert (again.status, again.code) == (400, "RESOURCE_ALREADY_EXISTS")
    assert "deleted" in again.body["message"]
    assert house.mlflow("POST", "experiments/restore", {"experiment_id": experiment}).status == 200
    assert house.mlflow("POST", "runs/log-metric", metric(run)).status == 200


def test_histories_are_thinned_out_evenly_and_keep_their_ends(house: MlHouse) -> None:
    runs = [house.run(), house.run()]
    for number, run in enumerate(runs):
        steps = range(number, 900 + number)
        points = [{"key": "loss", "value": step, "timestamp": step, "step": step} for step in steps]
        house.mlflow("POST", "runs/log-batch", {"run_id": run, "metrics": points})
    ids = "&".join(f"run_ids={run}" for run in runs)
    address = f"metrics/get-history-bulk-interval?{ids}&metric_key=loss&max_results=10"
    found = house.mlflow("GET", address).body["metrics"]
    assert {each["run_id"] for each in found} == set(runs)
    first = [each["step"] for each in found if each["run_id"] == runs[0]]
    assert (first[0], first[-1], len(first)) == (0, 899, 10)
    narrowed = house.mlflow("GET", address + "&start_step=5&end_step=7").body["metrics"]
    assert sorted({each["step"] for each in narrowed}) == [5, 6, 7]
    assert house.mlflow("GET", address + "&start_step=5").code == "INVALID_PARAMETER_VALUE"


def test_small_blocks_are_joined_without_a_change_to_what_is_read(house: MlHouse, tmp_path) -> None:
    from ml_house import CLOCK
    from riad.kernel.blobs import FolderBlobs
    from riad.ml import upkeep

    run = house.run()
    for step in range(70):
        house.mlflow("POST", "runs/log-metric", metric(run, value=math.sqrt(step), step=step, timestamp=step))
    address = f"metrics/get-history?run_id={run}&metric_key=loss"
    before = house.mlflow("GET", address).body
    assert upkeep.tidy(house.database, FolderBlobs(tmp_path / "blobs"), clock=CLOCK) == 1
    assert house.mlflow("GET", address).body == before
    house.mlflow("POST", "runs/log-metric", metric(run, value=1, step=70, timestamp=70))
    assert len(house.mlflow("GET", address).body["metrics"]) == 71


def test_many_clients_at_once_lose_nothing(house: MlHouse) -> None:
    runs = [house.run() for _ in range(6)]

    def log(run: str) -> None:
        for step in range(25):
            assert house.mlflow("POST", "runs/log-metric", metric(run, step=step, timestamp=step)).status == 200

    threads = [threading.Thread(target=log, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in runs:
        history = house.mlflow("GET", f"metrics/get-history?run_id={run}&metric_key=loss").body["metrics"]
        assert [each["step"] for each in history] == list(range(25))


def test_names_and_tags_of_runs(house: MlHouse) -> None:
    run = house.run(run_name="chosen")
    assert house.mlflow("GET", f"runs/get?run_id={run}").body["run"]["info"]["run_name"] == "chosen"
    house.mlflow("POST", "runs/set-tag", {"run_id": run, "key": "mlflow.runName", "value": "renamed"})
    assert house.mlflow("GET", f"runs/get?run_id={run}").body["run"]["info"]["run_name"] == "renamed"
    house.mlflow("POST", "runs/update", {"run_id": run, "run_name": "again", "status": "FINISHED", "end_time": "99"})
    info = house.mlflow("GET", f"runs/get?run_uuid={run}").body["run"]["info"]
    assert (info["run_name"], info["status"], info["end_time"]) == ("again", "FINISHED", 99)
    assert house.mlflow("POST", "runs/delete-tag", {"run_id": run, "key": "nothing"}).status == 404
    assert house.mlflow("POST", "runs/update", {"run_id": run, "status": "DONE"}).status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "runs/get?run_id=nothing"),
        ("GET", "experiments/get?experiment_id=99"),
        ("GET", "registered-models/get?name=x"),
    ],
)
def test_what_is_not_there(sqlite_house: MlHouse, method: str, path: str) -> None:
    answer = sqlite_house.mlflow(method, path)
    assert (answer.status, answer.code) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_addresses_that_there_are_not_say_so_in_mlflows_shape(sqlite_house: MlHouse) -> None:
    answer = sqlite_house.mlflow("POST", "gateway/endpoints/create", {})
    assert (answer.status, answer.code) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b"7"])
def test_bodies_that_are_no_objects(sqlite_house: MlHouse, raw: bytes) -> None:
    assert sqlite_house.mlflow("POST", "runs/create", raw).code == "INVALID_PARAMETER_VALUE"
