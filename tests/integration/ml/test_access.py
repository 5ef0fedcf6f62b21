"""Experiments belong to projects, and obey who may read and write those."""

from ml_house import MlHouse
from riad.identity.model import Visibility


def test_without_a_token_nothing_is_told(sqlite_house: MlHouse) -> None:
    answer = sqlite_house.mlflow("POST", "experiments/search", {}, token=None)
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")
    assert "MLFLOW_TRACKING_TOKEN" in answer.body["message"]
    assert sqlite_house.mlflow("POST", "experiments/search", {}, token="wrong").status == 401


def test_a_project_has_experiments_that_strangers_never_see(house: MlHouse) -> None:
    ada, token = house.user("ada")
    _, stranger = house.user("bob")
    house.forge.project(ada, "shop")
    made = house.mlflow("POST", "experiments/create", {"name": "demo/shop/churn"}, token=token).body["experiment_id"]
    run = house.mlflow("POST", "runs/create", {"experiment_id": made}, token=token).body["run"]["info"]["run_id"]
    by_name = "experiments/get-by-name?experiment_name=demo/shop/churn"
    assert house.mlflow("GET", by_name, token=token).body["experiment"]["name"] == "demo/shop/churn"
    for path in (by_name, f"experiments/get?experiment_id={made}", f"runs/get?run_id={run}"):
        assert house.mlflow("GET", path, token=stranger).status == 404
    log = {"run_id": run, "key": "a", "value": 1, "timestamp": 1}
    assert house.mlflow("POST", "runs/log-metric", log, token=stranger).status == 404
    found = house.mlflow("POST", "experiments/search", {}, token=stranger).body["experiments"]
    assert [each["name"] for each in found] == ["Default"]
    seen = house.mlflow("POST", "experiments/search", {}, token=token).body["experiments"]
    assert {each["name"] for each in seen} == {"Default", "demo/shop/churn"}


def test_a_public_project_is_read_and_not_written_by_others(house: MlHouse) -> None:
    ada, token = house.user("ada")
    _, other = house.user("bob")
    house.forge.project(ada, "shop", visibility=Visibility.PUBLIC)
    made = house.mlflow("POST", "experiments/create", {"name": "demo/shop/open"}, token=token).body["experiment_id"]
    assert house.mlflow("GET", f"experiments/get?experiment_id={made}", token=other).status == 200
    answer = house.mlflow("POST", "runs/create", {"experiment_id": made}, token=other)
    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")


def test_a_jobs_token_works_in_its_own_project_alone(house: MlHouse) -> None:
    ada, token = house.user("ada")
    project = house.forge.project(ada, "shop")
    elsewhere = house.mlflow("POST", "experiments/create", {"name": "of nobody's project"}, token=token)
    job = house.job_token(project, ada)
    run = house.mlflow("POST", "runs/create", {}, token=job).body["run"]["info"]
    own = house.mlflow("GET", f"experiments/get?experiment_id={run['experiment_id']}", token=token)
    assert own.body["experiment"]["name"] == "demo/shop/Default"
    made = house.mlflow("POST", "experiments/create", {"name": "churn"}, token=job).body["experiment_id"]
    seen = house.mlflow("GET", f"experiments/get?experiment_id={made}", token=token)
    assert seen.body["experiment"]["name"] == "demo/shop/churn"
    other = elsewhere.body["experiment_id"]
    assert house.mlflow("GET", f"experiments/get?experiment_id={other}", token=job).status == 404


def test_gitlabs_address_is_one_projects(house: MlHouse) -> None:
    ada, token = house.user("ada")
    project = house.forge.project(ada, "shop")
    base = f"/api/v4/projects/{project.id}/ml/mlflow/api/2.0/mlflow"
    made = house.ask("POST", f"{base}/experiments/create", {"name": "churn"}, token=token)
    assert made.status == 200
    shown = house.ask("GET", f"{base}/experiments/get-by-name?experiment_name=churn", token=token)
    assert shown.body["experiment"]["experiment_id"] == made.body["experiment_id"]
    by_path = "/api/v4/projects/demo%2Fshop/ml/mlflow/api/2.0/mlflow/registered-models/create"
    assert house.ask("POST", by_path, {"name": "churn"}, token=token).status == 200
    assert house.mlflow("GET", "registered-models/get?name=churn", token=token).status == 404
    assert house.ask("POST", f"{base}/experiments/create", {"name": "x"}, token=house.user("bob")[1]).status == 404


def test_artifacts_obey_too_and_never_leave_their_root(house: MlHouse) -> None:
    ada, token = house.user("ada")
    _, stranger = house.user("bob")
    house.forge.project(ada, "shop")
    made = house.mlflow("POST", "experiments/create", {"name": "demo/shop/churn"}, token=token).body["experiment_id"]
    file = f"/api/2.0/mlflow-artifacts/artifacts/{made}/run/artifacts/model.bin"
    assert house.ask("PUT", file, b"weights", token=token).status == 200
    assert house.ask("GET", file, token=token).body == b"weights"
    for method, body in (("GET", None), ("PUT", b"other"), ("DELETE", None)):
        assert house.ask(method, file, body, token=stranger).status == 404
    for path in ("../etc/passwd", f"{made}/%2e%2e/0/x", f"{made}/..%2f..%2fx", "%2Fetc%2Fpasswd", f"{made}/a%5C..%5Cb"):
        answer = house.ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", b"x", token=token)
        assert answer.status in (400, 404), path
    listed = house.ask("GET", f"/api/2.0/mlflow-artifacts/artifacts?path={made}/run/artifacts", token=token)
    assert listed.body["files"] == [{"path": "model.bin", "is_dir": False, "file_size": 7}]
    assert house.ask("DELETE", file, token=token).status == 200
    assert house.ask("GET", file, token=token).code == "RESOURCE_DOES_NOT_EXIST"
