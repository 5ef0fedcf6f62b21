"""Registered models: versions, aliases, and where each came from."""

from __future__ import annotations

from fastapi import Response

from riad.ml import models, runs
from riad.ml.search import models as searching
from riad.web import charts, laboratory
from riad.web.laboratory import Laboratory, moment
from riad.web.pages import Pages

SHOWN = 200


def add(pages: Pages) -> None:
    laboratory.add(pages, [("/models", listed), ("/models/{model}", shown)])


def listed(lab: Laboratory) -> Response:
    found = searching.search_models(lab.sql, searching.Question([lab.project_id], limit=SHOWN))
    return lab.render("models.html", "models", models=found, moment=moment)


def shown(lab: Laboratory) -> Response:
    model = models.get(lab.sql, lab.project_id, lab.visit.path("model"))
    quoted = model.name.replace("'", "''")
    question = searching.Question(
        [lab.project_id], filter=f"name = '{quoted}'", order_by=["version_number DESC"], limit=SHOWN
    )
    versions = searching.search_versions(lab.sql, question)
    of = {uuid: runs.get(lab.sql, uuid) for uuid in {each.run_uuid for each in versions if each.run_uuid}}
    logged = runs.logged(lab.sql, [run.id for run in of.values()])
    measured = {
        uuid: [(key, charts.number(value)) for key, value, *_ in sorted(logged[run.id].metrics)[:4]]
        for uuid, run in of.items()
    }
    return lab.render("model.html", "models", model=model, versions=versions, runs=of, measured=measured, moment=moment)
