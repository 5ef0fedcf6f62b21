"""/mlflow/registered-models and /mlflow/model-versions."""

from __future__ import annotations

from riad.kernel.faults import Fault, invalid, not_found
from riad.ml import logged_models, models, names, runs
from riad.ml.models import Model, NewVersion, Version
from riad.ml.search import models as searching
from riad.ml.sql import Sql
from riad.protocols.mlflow import body, pages, shapes
from riad.protocols.mlflow.handlers import Call, reads, writes
from riad.protocols.mlflow.shapes import Shape


def _model(sql: Sql, call: Call, *, change: bool = False) -> Model:
    space = call.caller.space()
    (call.caller.write if change else call.caller.read)(space)
    return models.get(sql, space, names.model(body.text(call.body, "name")))


def _version(sql: Sql, call: Call, *, change: bool = False) -> Version:
    model = _model(sql, call, change=change)
    return models.get_version(sql, model, _number(body.text(call.body, "version")))


def _number(text: str) -> int:
    if not text.isdigit() or len(text) > 9:
        raise invalid(f"Parameter 'version' must be an integer, got '{text}'.")
    return int(text)


def _shown(model: Model) -> Shape:
    return {"registered_model": shapes.model(model)}


@writes
def create(sql: Sql, call: Call) -> Shape:
    call.caller.write(call.caller.space())
    made = models.create(
        sql,
        project_id=call.caller.space(),
        name=body.text(call.body, "name"),
        description=body.text(call.body, "description", ""),
        tags=body.pairs(call.body, "tags"),
        now=call.now,
    )
    return _shown(made)


@writes
def rename(sql: Sql, call: Call) -> Shape:
    model = _model(sql, call, change=True)
    name = body.text(call.body, "new_name")
    models.rename(sql, model, name, now=call.now)
    return _shown(models.get(sql, model.project_id, name))


@writes
def update(sql: Sql, call: Call) -> Shape:
    model = _model(sql, call, change=True)
    models.describe(sql, model, body.text(call.body, "description", ""), now=call.now)
    return _shown(models.get(sql, model.project_id, model.name))


@writes
def delete(sql: Sql, call: Call) -> Shape:
    models.delete(sql, _model(sql, call, change=True))
    return {}


@reads
def get(sql: Sql, call: Call) -> Shape:
    return _shown(_model(sql, call))


def _question(call: Call, *, default: int, largest: int) -> tuple[searching.Question, int, int]:
    limit, start = body.limit(call.body, default=default, largest=largest), pages.offset(call.body)
    space = call.caller.space()
    call.caller.read(space)
    question = searching.Question(
        [space],
        filter=body.text(call.body, "filter", ""),
        order_by=body.texts(call.body, "order_by"),
        limit=limit + 1,
        offset=start,
    )
    return question, limit, start


@reads
def search(sql: Sql, call: Call) -> Shape:
    question, limit, start = _question(call, default=100, largest=1000)
    page, more = pages.cut(searching.search_models(sql, question), limit=limit, start=start)
    return {"registered_models": [shapes.model(each) for each in page], **more}


@reads
def search_versions(sql: Sql, call: Call) -> Shape:
    question, limit, start = _question(call, default=10_000, largest=200_000)
    page, more = pages.cut(searching.search_versions(sql, question), limit=limit, start=start)
    return {"model_versions": [shapes.version(each) for each in page], **more}


@reads
def latest(sql: Sql, call: Call) -> Shape:
    found = models.newest_of(sql, _model(sql, call), body.texts(call.body, "stages"))
    return {"model_versions": [shapes.version(each) for each in found]}


@writes
def set_tag(sql: Sql, call: Call) -> Shape:
    model = _model(sql, call, change=True)
    models.set_tag(sql, model, body.text(call.body, "key"), body.text(call.body, "value", ""))
    return {}


@writes
def delete_tag(sql: Sql, call: Call) -> Shape:
    models.delete_tag(sql, _model(sql, call, change=True), body.text(call.body, "key"))
    return {}


@writes
def set_alias(sql: Sql, call: Call) -> Shape:
    model = _model(sql, call, change=True)
    models.set_alias(sql, model, body.text(call.body, "alias"), _number(body.text(call.body, "version")))
    return {}


@writes
def delete_alias(sql: Sql, call: Call) -> Shape:
    models.delete_alias(sql, _model(sql, call, change=True), body.text(call.body, "alias"))
    return {}


@reads
def by_alias(sql: Sql, call: Call) -> Shape:
    found = models.by_alias(sql, _model(sql, call), body.text(call.body, "alias"))
    return {"model_version": shapes.version(found)}


@writes
def create_version(sql: Sql, call: Call) -> Shape:
    model = _model(sql, call, change=True)
    source, run_uuid = body.text(call.body, "source"), body.text(call.body, "run_id", "")
    logged = body.text(call.body, "model_id", "") or _named_model(source)
    storage = _storage(sql, call, source, logged)
    if logged and not run_uuid:
        run_uuid = logged_models.get(sql, logged).source_run
    if run_uuid:
        call.caller.read(runs.place(sql, run_uuid).project_id)
    made = models.add_version(
        sql,
        model,
        NewVersion(
            source=source,
            storage=storage,
            run_uuid=run_uuid,
            run_link=body.text(call.body, "run_link", ""),
            description=body.text(call.body, "description", ""),
            user_id=call.caller.user_name,
            logged_model=logged,
            tags=body.pairs(call.body, "tags"),
        ),
        now=call.now,
    )
    return {"model_version": shapes.version(made)}


def _named_model(source: str) -> str:
    """The logged model of `models:/m-…`."""
    rest = source.removeprefix("models:/")
    return rest if rest != source and rest.startswith("m-") and "/" not in rest else ""


def _storage(sql: Sql, call: Call, source: str, logged: str) -> str:
    """Where the files are. Raises INVALID for a place that is not Riad's, NOT_FOUND for a version that there is not."""
    if source.startswith("models:/"):
        if logged:
            found = logged_models.get(sql, logged)
            call.caller.read(logged_models.place(sql, logged)[1])
            return found.artifact_uri
        return _of_version(sql, call, source.removeprefix("models:/"))
    if source.startswith(("mlflow-artifacts:", "runs:/", "mlflow-prompt-template", "dummy-source", "prompt-template")):
        return source
    raise invalid(
        f"Invalid model version source: '{source}'. Riad keeps models itself: log the model to a run first, and "
        "register that (mlflow-artifacts:, runs:/ or models:/)."
    )


def _of_version(sql: Sql, call: Call, reference: str) -> str:
    """NAME/VERSION or NAME@ALIAS of the same space."""
    name, at, alias = reference.partition("@")
    name, _, number = (name, "", "") if at else reference.rpartition("/")
    model = models.get(sql, call.caller.space(), name)
    found = models.by_alias(sql, model, alias) if at else models.get_version(sql, model, _number(number))
    return found.storage


@writes
def update_version(sql: Sql, call: Call) -> Shape:
    version = _version(sql, call, change=True)
    models.describe_version(sql, version, body.text(call.body, "description", ""), now=call.now)
    return {"model_version": shapes.version(_version(sql, call))}


@writes
def transition(sql: Sql, call: Call) -> Shape:
    version = _version(sql, call, change=True)
    others = body.switch(call.body, "archive_existing_versions")
    models.transition(sql, version, body.text(call.body, "stage"), archive_others=others, now=call.now)
    return {"model_version": shapes.version(_version(sql, call))}


@writes
def delete_version(sql: Sql, call: Call) -> Shape:
    models.delete_version(sql, _version(sql, call, change=True), now=call.now)
    return {}


@reads
def get_version(sql: Sql, call: Call) -> Shape:
    return {"model_version": shapes.version(_version(sql, call))}


@reads
def download_uri(sql: Sql, call: Call) -> Shape:
    version = _version(sql, call)
    storage = version.storage
    if storage.startswith("runs:/"):
        run_uuid, _, path = storage.removeprefix("runs:/").partition("/")
        try:
            storage = f"{runs.get(sql, run_uuid).artifact_uri}/{path}"
        except Fault as fault:
            raise not_found(f"the run {run_uuid} that version {version.version} was made of is gone") from fault
    return {"artifact_uri": storage}


@writes
def set_version_tag(sql: Sql, call: Call) -> Shape:
    version = _version(sql, call, change=True)
    models.set_version_tag(sql, version, body.text(call.body, "key"), body.text(call.body, "value", ""))
    return {}


@writes
def delete_version_tag(sql: Sql, call: Call) -> Shape:
    models.delete_version_tag(sql, _version(sql, call, change=True), body.text(call.body, "key"))
    return {}
