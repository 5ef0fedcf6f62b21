"""Pages of experiments and models."""

from __future__ import annotations

import pytest

from fakes import laboratory
from fakes.laboratory import Laboratory
from fakes.web_house import House

from .conftest import Visitor

P = "/demo/flask-hello"
ML = f"{P}/-/ml"


@pytest.fixture
def lab(house: House) -> Laboratory:
    return laboratory.filled(house.database, house.project.id)


def test_experiments_are_listed_with_how_to_track(dana: Visitor, lab: Laboratory) -> None:
    page = dana.get(f"{ML}/experiments").text
    assert f'href="{ML}/experiments/{lab.experiment}"' in page
    assert "3 runs" in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "/ml/mlflow" in page and "MLFLOW_TRACKING_TOKEN" in page


def test_runs_are_searched_and_ordered(dana: Visitor, lab: Laboratory) -> None:
    address = f"{ML}/experiments/{lab.experiment}"
    page = dana.get(address, params={"order": "metrics.`accuracy` ASC"}).text
    assert page.index(">depth-0<") < page.index(">depth-1<") < page.index(">depth-2<")
    found = dana.get(address, params={"filter": "params.depth = '1'"}).text
    assert ">depth-1<" in found and ">depth-0<" not in found
    wrong = dana.get(address, params={"filter": "params.depth ~ 1"}).text
    assert 'role="alert"' in wrong and "No run matches." in wrong


def test_a_run_shows_curves_files_and_where_it_came_from(dana: Visitor, lab: Laboratory) -> None:
    address = f"{ML}/experiments/{lab.experiment}/runs/{lab.runs[0]}"
    page = dana.get(address).text
    assert page.count('<svg class="chart"') == 1  # a single point makes no curve
    assert "NaN" in page and "&lt;script&gt;" in page and "customers" in page
    assert "every 2s" not in page
    assert "every 2s" in dana.get(f"{ML}/experiments/{lab.experiment}/runs/{lab.runs[2]}").text
    inside = dana.get(address, params={"folder": "notes"}).text
    assert "about%20this.txt" in inside and "1.23 kB" in inside
    assert dana.get(address, params={"folder": "../.."}).status_code == 422


def test_runs_are_compared(dana: Visitor, lab: Laboratory) -> None:
    page = dana.get(f"{ML}/experiments/{lab.experiment}/compare", params={"run": list(lab.runs)}).text
    assert page.count('class="line') == 3
    assert '<tr class="differs"><th scope="row" class="breakable">depth</th>' in page
    alone = dana.get(f"{ML}/experiments/{lab.experiment}/compare", params={"run": lab.runs[0]}).text
    assert "Choose two runs or more" in alone


def test_models_name_their_versions_and_aliases(dana: Visitor, lab: Laboratory) -> None:
    assert "@champion → 2" in dana.get(f"{ML}/models").text
    page = dana.get(f"{ML}/models/churn%20model").text
    assert "2 versions" in page and "@champion" in page and "0.85" in page


def test_clients_links_lead_to_the_project(dana: Visitor, lab: Laboratory) -> None:
    followed = dana.get(f"/-/ml/go/{lab.runs[1]}")
    assert followed.url.path == f"{ML}/experiments/{lab.experiment}/runs/{lab.runs[1]}"
    assert dana.get(f"/-/ml/go/{lab.experiment}").url.path == f"{ML}/experiments/{lab.experiment}"


def test_strangers_and_other_places_see_nothing(house: House, dana: Visitor, sam: Visitor, lab: Laboratory) -> None:
    by_id = f"/-/ml/go/{lab.runs[1]}", f"/-/ml/go/{lab.experiment}"
    for path in (f"{ML}/experiments", f"{ML}/models/churn%20model", *by_id):
        assert sam.get(path).status_code == 404, path
    assert dana.get(f"/-/ml/experiments/{lab.experiment}").status_code == 404
    assert "churn" not in dana.get("/-/ml/experiments").text
