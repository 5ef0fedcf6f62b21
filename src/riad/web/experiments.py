"""Experiments: their runs as a table that can be searched, ordered and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Response

from riad.kernel.faults import Fault
from riad.ml import experiments, runs
from riad.ml.experiments import Experiment
from riad.ml.search import experiments as searching
from riad.ml.search import runs as run_search
from riad.web import charts, laboratory
from riad.web.laboratory import Laboratory, moment
from riad.web.pages import Pages

PAGE = 50
MOST_COLUMNS = 12
MOST_COMPARED = 10


def add(pages: Pages) -> None:
    laboratory.add(
        pages,
        [
            ("/experiments", listed),
            ("/experiments/{id}", table),
            ("/experiments/{id}/compare", compare),
        ],
    )


def listed(lab: Laboratory) -> Response:
    found = searching.search(lab.sql, searching.Question([lab.project_id], limit=200))
    facts = experiments.summaries(lab.sql, [each.id for each in found])
    shown = [(each, facts[each.id].runs, moment(facts[each.id].newest)) for each in found]
    return lab.render("experiments.html", "experiments", shown=shown)


def experiment(lab: Laboratory) -> Experiment:
    """The one of the address. Raises NOT_FOUND."""
    found = experiments.get(lab.sql, lab.visit.number("id"))
    lab.own(found.project_id)
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """A run, and its values in the order of the columns."""

    run: runs.Run
    params: Sequence[str]
    metrics: Sequence[str]


def table(lab: Laboratory) -> Response:
    where = experiment(lab)
    page, filter_, order = lab.visit.page_number, lab.visit.query("filter").strip(), lab.visit.query("order")
    problem = ""
    question = run_search.Question(
        [where.id], filter=filter_, order_by=[order] if order else [], limit=PAGE + 1, offset=(page - 1) * PAGE
    )
    try:
        found = run_search.search(lab.sql, question)
    except Fault as fault:
        found, problem = [], fault.message
    more, found = len(found) > PAGE, found[:PAGE]
    logged = runs.logged(lab.sql, [each.id for each in found])
    params = _most_used(key for each in logged.values() for key, _ in each.params)
    metrics = _most_used(key for each in logged.values() for key, *_ in each.metrics)
    rows = [_row(each, logged[each.id], params, metrics) for each in found]
    return lab.render(
        "experiment.html",
        "experiments",
        experiment=where,
        rows=rows,
        params=params,
        metrics=metrics,
        page=page,
        more=more,
        filter=filter_,
        order=order,
        problem=problem,
        moment=moment,
        took=took,
        link=lambda **changes: _link(lab, changes),
    )


def _link(lab: Laboratory, changes: dict[str, str]) -> str:
    """This page with other parameters."""
    asked = {name: lab.visit.query(name) for name in ("filter", "order")} | changes
    return "?" + urlencode({name: value for name, value in asked.items() if value})


def _most_used(keys: object) -> list[str]:
    """The columns: what most runs of the page have, by name."""
    counts: dict[str, int] = {}
    for key in keys:  # type: ignore[attr-defined]
        counts[key] = counts.get(key, 0) + 1
    return sorted(sorted(counts, key=lambda key: (-counts[key], key))[:MOST_COLUMNS])


def _row(run: runs.Run, logged: runs.Logged, params: Sequence[str], metrics: Sequence[str]) -> Row:
    given = dict(logged.params)
    measured = {key: value for key, value, *_ in logged.metrics}
    return Row(
        run,
        [given.get(key, "") for key in params],
        [charts.number(measured[key]) if key in measured else "" for key in metrics],
    )


def took(run: runs.Run) -> float | None:
    """Seconds; None while it goes on."""
    return max(0.0, (run.ended - run.started) / 1000) if run.ended is not None else None


def compare(lab: Laboratory) -> Response:
    """Runs side by side: what differs first, and every metric's curves in one chart."""
    where = experiment(lab)
    chosen = lab.visit.request.query_params.getlist("run")[:MOST_COMPARED]
    found = [run for uuid in chosen if (run := runs.get(lab.sql, uuid)).experiment_id == where.id]
    logged = runs.logged(lab.sql, [run.id for run in found])
    given = [dict(logged[run.id].params) for run in found]
    measured = [{key: value for key, value, *_ in logged[run.id].metrics} for run in found]
    params = sorted({key for each in given for key in each})
    metrics = sorted({key for each in measured for key in each})
    return lab.render(
        "experiment_compare.html",
        "experiments",
        experiment=where,
        found=found,
        params=[(key, [each.get(key, "") for each in given]) for key in params],
        metrics=[(key, [charts.number(each[key]) if key in each else "" for each in measured]) for key in metrics],
        charts=[(key, made) for key in metrics[:24] if (made := _curves(lab, found, key)) is not None],
        moment=moment,
    )


def _curves(lab: Laboratory, found: Sequence[runs.Run], key: str) -> charts.Chart | None:
    series = []
    for run in found:
        kept = runs.history(lab.sql, runs.place(lab.sql, run.uuid), key)
        series.append((run.name, [(step, value) for step, _, value in kept.thinned(200)]))
    return charts.chart(series) if any(len(points) > 1 for _, points in series) else None
