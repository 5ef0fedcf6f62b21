"""One run: what went in, what came out, its curves while they grow, its files."""

from __future__ import annotations

from fastapi import Response

from riad.forge import projects
from riad.ml import artifacts, experiments, logged_models, runs
from riad.ml.experiments import SHARED
from riad.ml.sql import Sql
from riad.web import charts, laboratory
from riad.web.experiments import experiment, took
from riad.web.laboratory import Laboratory, moment
from riad.web.pages import Pages
from riad.web.visit import Visit

MOST_CHARTS = 40
POINTS = 300
_SHOWN_TAGS = ("mlflow.",)


def add(pages: Pages) -> None:
    laboratory.add(pages, [("/experiments/{id}/runs/{uuid}", shown)])
    pages.get("/-/ml/go/{id:int}")(of_experiment)
    pages.get("/-/ml/go/{uuid}")(of_run)


def shown(lab: Laboratory) -> Response:
    where, uuid = experiment(lab), lab.visit.path("uuid")
    run = runs.get(lab.sql, uuid)
    logged = runs.logged(lab.sql, [run.id])[run.id]
    tags = dict(logged.tags)
    place = runs.place(lab.sql, uuid)
    folder = lab.visit.query("folder")
    return lab.render(
        "run_live.html" if lab.visit.partial else "run.html",
        "experiments",
        experiment=where,
        run=run,
        logged=logged,
        tags=[(key, value) for key, value in sorted(tags.items()) if not key.startswith(_SHOWN_TAGS)],
        about=tags,
        pictures=[
            (key, charts.number(value), _curve(lab, place, key)) for key, value, *_ in logged.metrics[:MOST_CHARTS]
        ],
        folder=folder,
        files=_files(lab, run, folder),
        models=logged_models.of_run(lab.sql, uuid),
        moment=moment,
        took=took(run),
        active=run.status == "RUNNING" and not run.deleted,
    )


def _curve(lab: Laboratory, place: runs.Place, key: str) -> charts.Chart | None:
    points = runs.history(lab.sql, place, key).thinned(POINTS)
    return charts.chart([("", [(step, value) for step, _, value in points])]) if len(points) > 1 else None


def _files(lab: Laboratory, run: runs.Run, folder: str) -> tuple[list[str], list[artifacts.File], str]:
    """(folders, files, the root that their paths begin with)"""
    root = run.artifact_uri.removeprefix("mlflow-artifacts:/")
    inner = artifacts.clean(folder)
    folders, files = artifacts.listing(lab.sql, f"{root}/{inner}" if inner else root)
    return folders, files, root


def of_experiment(visit: Visit) -> Response:
    """Where clients' links to an experiment lead: they know its number alone."""
    return visit.go(_address(visit, visit.number("id")))


def of_run(visit: Visit) -> Response:
    run = runs.get(Sql(visit.session.connection()), visit.path("uuid"))
    return visit.go(f"{_address(visit, run.experiment_id)}/runs/{run.uuid}")


def _address(visit: Visit, experiment_id: int) -> str:
    assert visit.user
    project_id = experiments.get(Sql(visit.session.connection()), experiment_id).project_id
    root = f"/{projects.seen(visit.session, visit.principal, project_id).path}" if project_id != SHARED else ""
    return f"{root}/-/ml/experiments/{experiment_id}"
