"""/mlflow/runs, /mlflow/metrics: what training code calls most."""

from __future__ import annotations

import json

from riad.kernel.faults import invalid
from riad.ml import experiments, logged_models, names, runs
from riad.ml.points import sample
from riad.ml.runs import DatasetInput, Metric, Place
from riad.ml.search import runs as searching
from riad.ml.sql import Sql
from riad.protocols.mlflow import body, pages, shapes
from riad.protocols.mlflow.body import Body
from riad.protocols.mlflow.experiments import VIEWS, experiment_id, find
from riad.protocols.mlflow.handlers import Call, reads, writes
from riad.protocols.mlflow.shapes import Shape

MOST_METRICS, MOST_OTHERS, MOST_TOGETHER = 1000, 100, 1000
_MOST_RUNS, _MOST_POINTS = 100, 2500


@writes
def create(sql: Sql, call: Call) -> Shape:
    named = body.text(call.body, "experiment_id", "0")
    if experiment_id(named) == 0:
        call.caller.write(call.caller.space())
        experiments.ensure_default(sql, project_id=call.caller.space(), now=call.now)
    where = find(sql, call.caller, named)
    call.caller.write(where.project_id)
    if where.deleted:
        raise invalid(f"The experiment {where.id} must be in the 'active' state; it is deleted")
    uuid = runs.create(
        sql,
        experiment_id=where.id,
        artifact_location=where.artifact_location,
        user_id=body.text(call.body, "user_id", "") or call.caller.user_name,
        name=body.text(call.body, "run_name", ""),
        started=body.whole(call.body, "start_time", call.now),
        tags=body.pairs(call.body, "tags"),
    )
    return {"run": _whole(sql, uuid)}


def _whole(sql: Sql, uuid: str) -> Shape:
    found = runs.get(sql, uuid)
    return shapes.run(found, runs.logged(sql, [found.id])[found.id])


def _uuid(asked: Body) -> str:
    return body.either(asked, "run_id", "run_uuid")


def _own(sql: Sql, call: Call, *, active: bool = True) -> tuple[Place, str]:
    """The run, which the caller may change."""
    uuid = _uuid(call.body)
    found = runs.place(sql, uuid)
    call.caller.write(found.project_id)
    if active:
        runs.check_active(found, uuid)
    return found, uuid


@writes
def update(sql: Sql, call: Call) -> Shape:
    found, uuid = _own(sql, call)
    ended = call.body.get("end_time")
    runs.update(
        sql,
        found,
        status=_status(call.body.get("status")),
        ended=body.as_whole(ended, "end_time") if ended is not None else None,
        name=body.text(call.body, "run_name", ""),
    )
    return {"run_info": shapes.run_info(runs.get(sql, uuid))}


def _status(value: object) -> str:
    """Its name, or its number in the protocol's enumeration."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= len(runs.STATUSES):
        return runs.STATUSES[value - 1]
    return body.text({"status": value}, "status", "")


@writes
def delete(sql: Sql, call: Call) -> Shape:
    found, _ = _own(sql, call)
    runs.set_deleted(sql, found, deleted=True)
    return {}


@writes
def restore(sql: Sql, call: Call) -> Shape:
    found, uuid = _own(sql, call, active=False)
    if not found.deleted:
        raise invalid(f"The run {uuid} must be in the 'deleted' state; it is active")
    runs.set_deleted(sql, found, deleted=False)
    return {}


@reads
def get(sql: Sql, call: Call) -> Shape:
    uuid = _uuid(call.body)
    call.caller.read(runs.place(sql, uuid).project_id)
    return {"run": _whole(sql, uuid)}


@reads
def search(sql: Sql, call: Call) -> Shape:
    view = body.one(call.body, "run_view_type", "ACTIVE_ONLY", tuple(VIEWS))
    limit, start = body.limit(call.body, default=1000, largest=50_000), pages.offset(call.body)
    where = [find(sql, call.caller, each).id for each in body.texts(call.body, "experiment_ids")]
    found = searching.search(
        sql,
        searching.Question(
            where,
            filter=body.text(call.body, "filter", ""),
            order_by=body.texts(call.body, "order_by"),
            deleted=VIEWS[view],
            limit=limit + 1,
            offset=start,
        ),
    )
    page, more = pages.cut(found, limit=limit, start=start)
    logged = runs.logged(sql, [each.id for each in page])
    return {"runs": [shapes.run(each, logged[each.id]) for each in page], **more}


@writes
def log_metric(sql: Sql, call: Call) -> Shape:
    asked = call.body
    metric = _metric(asked, "", call.now)
    found, uuid = _own(sql, call)
    runs.log_metrics(sql, found, [metric])
    _for_models(sql, uuid, [asked], [metric])
    return {}


def _metric(asked: Body, at: str, now: int) -> Metric:
    value, when, step = asked.get("value"), asked.get("timestamp"), asked.get("step", 0)
    key = names.key(asked.get("key"), "metric", f"{at}key" if at else "name")
    if value is None:
        raise body.missing(f"{at}value")
    if type(value) is not float:
        value = body.as_number(value, f"{at}value")
    if type(when) is not int:
        when = body.as_whole(when, f"{at}timestamp") if when is not None else now
    if type(step) is not int:
        step = body.as_whole(step if step is not None else 0, f"{at}step")
    if not -(2**63) <= when < 2**63 or not -(2**63) <= step < 2**63:
        raise body.wrong(f"{at}step", step, "a whole number of 64 bits")
    return key, value, when, step


def _for_models(sql: Sql, run_uuid: str, asked: list[Body], metrics: list[Metric]) -> None:
    """Metrics that name a logged model count for it, too."""
    of_models = [
        (each["model_id"], each.get("dataset_name") or "", each.get("dataset_digest") or "", metric)
        for each, metric in zip(asked, metrics, strict=True)
        if each.get("model_id")
    ]
    if of_models:
        logged_models.log_metrics(sql, run_uuid, of_models)


@writes
def log_param(sql: Sql, call: Call) -> Shape:
    found, _ = _own(sql, call)
    runs.log_params(sql, found, [(body.text(call.body, "key"), body.text(call.body, "value", ""))])
    return {}


@writes
def set_tag(sql: Sql, call: Call) -> Shape:
    found, _ = _own(sql, call)
    runs.set_tags(sql, found, [(body.text(call.body, "key"), body.text(call.body, "value", ""))])
    return {}


@writes
def delete_tag(sql: Sql, call: Call) -> Shape:
    found, uuid = _own(sql, call)
    runs.delete_tag(sql, found, uuid, body.text(call.body, "key"))
    return {}


@writes
def log_batch(sql: Sql, call: Call) -> Shape:
    asked = body.objects(call.body, "metrics")
    params, tags = body.pairs(call.body, "params"), body.pairs(call.body, "tags")
    _check_batch(len(asked), len(params), len(tags))
    metrics = [_metric(each, f"metrics[{place}].", call.now) for place, each in enumerate(asked)]
    found, uuid = _own(sql, call)
    if params:
        runs.log_params(sql, found, params)
    if metrics:
        runs.log_metrics(sql, found, metrics)
        _for_models(sql, uuid, list(asked), metrics)
    if tags:
        runs.set_tags(sql, found, tags)
    return {}


def _check_batch(metrics: int, params: int, tags: int) -> None:
    for what, most, count in (
        ("metrics", MOST_METRICS, metrics),
        ("params", MOST_OTHERS, params),
        ("tags", MOST_OTHERS, tags),
        ("entities", MOST_TOGETHER, metrics + params + tags),
    ):
        if count > most:
            raise invalid(
                f"A batch logging request can contain at most {most} {what}. Got {count} {what}. "
                "Please split up your request and try again."
            )


@writes
def log_inputs(sql: Sql, call: Call) -> Shape:
    found, _ = _own(sql, call)
    runs.log_datasets(sql, found, [_dataset(each) for each in body.objects(call.body, "datasets")])
    models = [(body.text(each, "model_id"), 0) for each in body.objects(call.body, "models")]
    runs.link_models(sql, found, "input", models)
    return {}


def _dataset(asked: Body) -> DatasetInput:
    inner = asked.get("dataset")
    if not isinstance(inner, dict):
        raise body.missing("dataset")
    return DatasetInput(
        name=body.text(inner, "name"),
        digest=body.text(inner, "digest"),
        source_type=body.text(inner, "source_type"),
        source=body.text(inner, "source"),
        schema=body.text(inner, "schema", ""),
        profile=body.text(inner, "profile", ""),
        tags=dict(body.pairs(asked, "tags")),
    )


@writes
def log_outputs(sql: Sql, call: Call) -> Shape:
    found, _ = _own(sql, call)
    models = [(body.text(each, "model_id"), body.whole(each, "step", 0)) for each in body.objects(call.body, "models")]
    runs.link_models(sql, found, "output", models)
    return {}


@writes
def log_model(sql: Sql, call: Call) -> Shape:
    """What clients before 3.0 tell of a model that they have uploaded: kept as the tag that they read it from."""
    found, _ = _own(sql, call)
    try:
        told = json.loads(body.text(call.body, "model_json"))
    except ValueError:
        raise invalid("Malformed model info: it is no JSON") from None
    lacking = {"artifact_path", "flavors", "utc_time_created", "run_id"} - set(told if isinstance(told, dict) else ())
    if lacking:
        raise invalid(f"Model json is missing mandatory fields: {sorted(lacking)}")
    known = json.loads(runs.tags(sql, found.id).get(runs.MODELS_TAG, "[]"))
    runs.note_models(sql, found, json.dumps([*known, told]))
    return {}


@reads
def history(sql: Sql, call: Call) -> Shape:
    uuid, key = _uuid(call.body), body.text(call.body, "metric_key")
    found = runs.place(sql, uuid)
    call.caller.read(found.project_id)
    points = runs.history(sql, found, key).by_time()
    if "max_results" not in call.body:
        return {"metrics": shapes.history(key, points)}
    limit, start = body.limit(call.body, default=25_000, largest=25_000), pages.offset(call.body)
    page, more = pages.cut(points[start : start + limit + 1], limit=limit, start=start)
    return {"metrics": shapes.history(key, page), **more}


@reads
def history_bulk(sql: Sql, call: Call) -> Shape:
    """Several runs' histories of one metric, whole."""
    ids, key = body.texts(call.body, "run_id") or body.texts(call.body, "run_ids"), body.text(call.body, "metric_key")
    if not 1 <= len(ids) <= _MOST_RUNS:
        raise invalid(f"GetMetricHistoryBulk request must specify 1 to {_MOST_RUNS} run_ids.")
    limit = body.limit(call.body, default=25_000, largest=25_000)
    found: list[Shape] = []
    for uuid in sorted(ids):
        place = runs.place(sql, uuid)
        call.caller.read(place.project_id)
        found += shapes.history(key, runs.history(sql, place, key).by_time(), uuid)
    return {"metrics": found[:limit]}


@reads
def history_interval(sql: Sql, call: Call) -> Shape:
    """Several runs' histories of one metric, thinned out evenly by step; the ends of each run stay."""
    ids, key = body.texts(call.body, "run_ids"), body.text(call.body, "metric_key")
    if not 1 <= len(ids) <= _MOST_RUNS:
        raise invalid(f"GetMetricHistoryBulkInterval request must specify 1 to {_MOST_RUNS} run_ids.")
    limit = body.limit(call.body, default=_MOST_POINTS, largest=_MOST_POINTS)
    low, high = _interval(call.body)
    series = {}
    for uuid in ids:
        place = runs.place(sql, uuid)
        call.caller.read(place.project_id)
        series[uuid] = runs.history(sql, place, key)
    steps = {uuid: [step for step in each.steps if low <= step <= high] for uuid, each in series.items()}
    chosen = set(sample({step for each in steps.values() for step in each}, limit))
    found: list[Shape] = []
    for uuid, each in series.items():
        ends = {min(steps[uuid]), max(steps[uuid])} if steps[uuid] else set()
        found += shapes.history(key, each.at(chosen | ends)[:limit], uuid)
    return {"metrics": found}


def _interval(asked: Body) -> tuple[int, int]:
    given = [name for name in ("start_step", "end_step") if asked.get(name) is not None]
    if not given:
        return -(2**63), 2**63
    if len(given) == 1:
        raise invalid("If either start step or end step are specified, both must be specified.")
    low, high = body.whole(asked, "start_step"), body.whole(asked, "end_step")
    if low > high:
        raise invalid(f"end_step must be greater than start_step. Found start_step={low} and end_step={high}.")
    return low, high
