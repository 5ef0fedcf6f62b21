"""/mlflow/logged-models: what `log_model` of client 3 makes."""

from __future__ import annotations

from riad.ml import logged_models, runs
from riad.ml.logged_models import NewModel, OrderBy
from riad.ml.sql import Sql
from riad.protocols.mlflow import body, pages, shapes
from riad.protocols.mlflow.experiments import find
from riad.protocols.mlflow.handlers import Call, reads, writes
from riad.protocols.mlflow.shapes import Shape

_STATUS_NUMBERS = {1: logged_models.PENDING, 2: logged_models.READY, 3: logged_models.FAILED}


def _own(sql: Sql, call: Call) -> tuple[int, str]:
    uuid = body.text(call.body, "model_id")
    row, project_id = logged_models.place(sql, uuid)
    call.caller.write(project_id)
    return row, uuid


def _shown(sql: Sql, uuid: str) -> Shape:
    return {"model": shapes.logged_model(logged_models.get(sql, uuid))}


@writes
def create(sql: Sql, call: Call) -> Shape:
    where = find(sql, call.caller, body.text(call.body, "experiment_id"))
    call.caller.write(where.project_id)
    source_run = body.text(call.body, "source_run_id", "")
    if source_run:
        call.caller.read(runs.place(sql, source_run).project_id)
    wanted = NewModel(
        name=body.text(call.body, "name", ""),
        model_type=body.text(call.body, "model_type", ""),
        source_run=source_run,
        params=body.pairs(call.body, "params"),
        tags=body.pairs(call.body, "tags"),
    )
    return _shown(sql, logged_models.create(sql, where, wanted, now=call.now))


@reads
def get(sql: Sql, call: Call) -> Shape:
    uuid = body.text(call.body, "model_id")
    call.caller.read(logged_models.place(sql, uuid)[1])
    return _shown(sql, uuid)


@writes
def finalize(sql: Sql, call: Call) -> Shape:
    row, uuid = _own(sql, call)
    status = call.body.get("status")
    named = _STATUS_NUMBERS.get(status) if isinstance(status, int) else None
    logged_models.finalize(sql, row, named or body.text(call.body, "status"), now=call.now)
    return _shown(sql, uuid)


@writes
def delete(sql: Sql, call: Call) -> Shape:
    logged_models.delete(sql, _own(sql, call)[0], now=call.now)
    return {}


@writes
def set_tags(sql: Sql, call: Call) -> Shape:
    row, uuid = _own(sql, call)
    logged_models.set_tags(sql, row, body.pairs(call.body, "tags"))
    return _shown(sql, uuid)


@writes
def delete_tag(sql: Sql, call: Call) -> Shape:
    row, uuid = _own(sql, call)
    logged_models.delete_tag(sql, row, uuid, body.text(call.body, "tag_key"))
    return {}


@writes
def log_params(sql: Sql, call: Call) -> Shape:
    logged_models.log_params(sql, _own(sql, call)[0], body.pairs(call.body, "params"))
    return {}


@reads
def search(sql: Sql, call: Call) -> Shape:
    limit, start = body.limit(call.body, default=100, largest=1000), pages.offset(call.body)
    where = [find(sql, call.caller, each).id for each in body.texts(call.body, "experiment_ids")]
    found = logged_models.search(
        sql,
        logged_models.Question(
            where,
            filter=body.text(call.body, "filter", ""),
            datasets=[
                (body.text(each, "dataset_name"), body.text(each, "dataset_digest", ""))
                for each in body.objects(call.body, "datasets")
            ],
            order_by=[
                OrderBy(
                    body.text(each, "field_name"),
                    ascending="ascending" not in each or body.switch(each, "ascending"),
                    dataset_name=body.text(each, "dataset_name", ""),
                    dataset_digest=body.text(each, "dataset_digest", ""),
                )
                for each in body.objects(call.body, "order_by")
            ],
            limit=limit + 1,
            offset=start,
        ),
    )
    page, more = pages.cut(found, limit=limit, start=start)
    return {"models": [shapes.logged_model(each) for each in page], **more}
