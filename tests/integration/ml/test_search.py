"""What a search finds, by the cases of the grammar, on each database."""

import pytest

from ml_house import MlHouse

RUNS = {
    # name: (params, metrics, tags, status)
    "low": ({"opt": "adam", "Layers": "2"}, {"acc": 0.5, "loss": 0.9}, {"team": "Red_1"}, "FINISHED"),
    "mid": ({"opt": "sgd"}, {"acc": 0.7, "loss": "NaN"}, {"team": "red%2"}, "FAILED"),
    "high": ({"opt": "Adam", "Layers": "4"}, {"acc": 0.9}, {"a b": "x'y"}, "RUNNING"),
}


def filled(house: MlHouse) -> str:
    experiment = house.experiment()
    for number, (name, (params, metrics, tags, status)) in enumerate(RUNS.items()):
        run = house.run(experiment, run_name=name, start_time=number + 1)
        batch = {
            "run_id": run,
            "params": [{"key": key, "value": value} for key, value in params.items()],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
            "metrics": [{"key": k, "value": v, "timestamp": 1, "step": 0} for k, v in metrics.items()],
        }
        assert house.mlflow("POST", "runs/log-batch", batch).status == 200
        house.mlflow("POST", "runs/update", {"run_id": run, "status": status})
        if name == "mid":
            dataset = {"name": "iris", "digest": "d1", "source_type": "local", "source": "{}"}
            inputs = [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "train"}]}]
            assert house.mlflow("POST", "runs/log-inputs", {"run_id": run, "datasets": inputs}).status == 200
    return experiment


def found(house: MlHouse, experiment: str, filter_: str = "", *orders: str) -> list[str]:
    asked = {"experiment_ids": [experiment], "filter": filter_, "order_by": list(orders)}
    answer = house.mlflow("POST", "runs/search", asked)
    assert answer.status == 200, answer.body
    return [run["info"]["run_name"] for run in answer.body.get("runs", [])]


CASES = [
    ("", {"low", "mid", "high"}),
    ("metrics.acc > 0.5", {"mid", "high"}),
    ("metrics.acc >= 0.5 AND metrics.acc != 0.7", {"low", "high"}),
    ("metrics.loss < 2", {"low"}),  # neither what is no number nor what is absent
    ("params.opt = 'adam'", {"low"}),
    ("params.opt != 'adam'", {"mid", "high"}),
    ("params.opt LIKE 'a%'", {"low"}),
    ("params.opt ILIKE 'a%'", {"low", "high"}),
    ("params.Layers IS NULL", {"mid"}),
    ("params.Layers IS NOT NULL and params.Layers != '2'", {"high"}),
    ("tags.team LIKE 'Red_1'", {"low"}),
    ("tags.team ILIKE 'red%2'", {"mid"}),
    ("tags.`a b` = 'x''y'", {"high"}),
    ('tags."a b" IS NULL', {"low", "mid"}),
    ("attributes.status = 'FINISHED'", {"low"}),
    ("status != 'FINISHED'", {"mid", "high"}),
    ("run_name LIKE 'm%'", {"mid"}),
    ("`Run name` = 'high'", {"high"}),
    ("start_time > 1 and created < 3", {"mid"}),
    ("datasets.name = 'iris' and dataset.digest LIKE 'd%'", {"mid"}),
    ("dataset.context = 'train'", {"mid"}),
    ("dataset.context IN ('eval', 'train')", {"mid"}),
    ("dataset.context = 'eval'", set()),
]


def test_filters(house: MlHouse) -> None:
    experiment = filled(house)
    wrong = {text: names for text, names in CASES if set(found(house, experiment, text)) != names}
    assert wrong == {}


def test_orders_put_what_is_no_number_and_what_is_absent_last(house: MlHouse) -> None:
    experiment = filled(house)
    assert found(house, experiment) == ["high", "mid", "low"]
    assert found(house, experiment, "", "metrics.acc") == ["low", "mid", "high"]
    assert found(house, experiment, "", "metrics.acc DESC") == ["high", "mid", "low"]
    assert found(house, experiment, "", "metrics.loss") == ["low", "mid", "high"]
    assert found(house, experiment, "", "metrics.loss DESC") == ["low", "mid", "high"]
    assert found(house, experiment, "", "params.Layers DESC", "start_time") == ["high", "low", "mid"]
    assert found(house, experiment, "", "attributes.run_name ASC") == ["high", "low", "mid"]


def test_pages_hold_everything_once(house: MlHouse) -> None:
    experiment = house.experiment()
    made = {house.run(experiment, start_time=number // 3) for number in range(7)}
    seen, token = [], ""
    while True:
        asked = {"experiment_ids": [experiment], "max_results": 3, "page_token": token}
        page = house.mlflow("POST", "runs/search", asked).body
        seen += [run["info"]["run_id"] for run in page["runs"]]
        if not (token := page.get("next_page_token", "")):
            break
    assert len(seen) == 7
    assert set(seen) == made


def test_ids_are_found_by_lists(house: MlHouse) -> None:
    experiment = house.experiment()
    one, two, three = (house.run(experiment, run_name=name) for name in ("one", "two", "three"))
    assert set(found(house, experiment, f"run_id IN ('{one}', '{three}')")) == {"one", "three"}
    assert found(house, experiment, f"attributes.run_id NOT IN ('{one}', '{three}')") == ["two"]
    assert two


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "metrics.a ~ 1"},
        {"order_by": ["metrics.a", "metrics.a DESC"]},
        {"max_results": 0},
        {"max_results": 50_001},
        {"page_token": "nonsense"},
        {"run_view_type": "SOME"},
        {"experiment_ids": ["x"]},
        {"experiment_ids": [1]},
    ],
)
def test_questions_that_make_no_sense(sqlite_house: MlHouse, asked: dict[str, object]) -> None:
    answer = sqlite_house.mlflow("POST", "runs/search", {"experiment_ids": ["0"], **asked})
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")


def test_experiments_are_searched(house: MlHouse) -> None:
    for name, tags in (("churn", {"team": "a"}), ("Churn-2", {}), ("price", {"team": "b"})):
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        house.mlflow("POST", "experiments/create", {"name": name, "tags": pairs})

    def names(**asked: object) -> list[str]:
        answer = house.mlflow("POST", "experiments/search", asked)
        assert answer.status == 200, answer.body
        return [each["name"] for each in answer.body["experiments"]]

    assert set(names()) == {"Default", "churn", "Churn-2", "price"}
    assert set(names(filter="name ILIKE 'churn%'")) == {"churn", "Churn-2"}
    assert names(filter="tags.team = 'b'") == ["price"]
    assert names(order_by=["name"]) in (
        ["Churn-2", "Default", "churn", "price"],
        ["churn", "Churn-2", "Default", "price"],  # a database with a language
    )
    assert names(filter="experiment_id = '0'") == ["Default"]
