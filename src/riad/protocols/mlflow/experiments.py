"""/mlflow/experiments and what runs read (`search-datasets`)."""

from __future__ import annotations

from riad.kernel.faults import invalid
from riad.ml import experiments
from riad.ml.experiments import Experiment
from riad.ml.search import experiments as searching
from riad.ml.sql import Sql
from riad.protocols.mlflow import body, pages, shapes
from riad.protocols.mlflow.access import Caller
from riad.protocols.mlflow.handlers import Call, reads, writes
from riad.protocols.mlflow.shapes import Shape

VIEWS = {"ACTIVE_ONLY": False, "DELETED_ONLY": True, "ALL": None}


def experiment_id(text: str, name: str = "experiment_id") -> int:
    if not text.isdigit() or len(text) > 18:
        raise invalid(f"Invalid experiment ID: '{text}'. It has to be a number.")
    return int(text)


def find(sql: Sql, caller: Caller, text: str, *, now: int = 0) -> Experiment:
    """The experiment that a client names by its id; "0" is the default one of its space."""
    wanted = experiment_id(text)
    if wanted == 0 and caller.project is not None:
        return experiments.by_name(sql, caller.project.id, experiments.DEFAULT)
    found = experiments.get(sql, wanted)
    caller.read(found.project_id)
    return found


def _shown(call: Call, found: Experiment) -> Shape:
    return shapes.experiment(found, call.caller.outward(found.project_id, found.name))


@writes
def create(sql: Sql, call: Call) -> Shape:
    project_id, name = call.caller.inward(body.text(call.body, "name"))
    call.caller.write(project_id)
    made = experiments.create(
        sql,
        project_id=project_id,
        name=name,
        tags=dict(body.pairs(call.body, "tags")),
        artifact_location=_location(body.text(call.body, "artifact_location", "")),
        now=call.now,
    )
    return {"experiment_id": str(made)}


def _location(text: str) -> str:
    """Artifacts are kept here and nowhere else."""
    if text and not text.startswith("mlflow-artifacts:/"):
        raise invalid(f"Invalid artifact location '{text}': Riad keeps artifacts itself; leave artifact_location out")
    return "" if text else text


@writes
def default(sql: Sql, call: Call) -> Shape:
    """The experiment of runs that name none; made when it is first asked for."""
    call.caller.write(call.caller.space())
    return {"experiment_id": str(experiments.ensure_default(sql, project_id=call.caller.space(), now=call.now))}


@reads
def get(sql: Sql, call: Call) -> Shape:
    return {"experiment": _shown(call, find(sql, call.caller, body.text(call.body, "experiment_id")))}


@reads
def get_by_name(sql: Sql, call: Call) -> Shape:
    project_id, name = call.caller.inward(body.text(call.body, "experiment_name"))
    call.caller.read(project_id)
    return {"experiment": _shown(call, experiments.by_name(sql, project_id, name))}


@reads
def search(sql: Sql, call: Call) -> Shape:
    view = body.one(call.body, "view_type", "ACTIVE_ONLY", tuple(VIEWS))
    limit, start = body.limit(call.body, default=1000, largest=50_000), pages.offset(call.body)
    found = searching.search(
        sql,
        searching.Question(
            call.caller.spaces(),
            filter=body.text(call.body, "filter", ""),
            order_by=body.texts(call.body, "order_by"),
            deleted=VIEWS[view],
            limit=limit + 1,
            offset=start,
        ),
    )
    page, more = pages.cut(found, limit=limit, start=start)
    return {"experiments": [_shown(call, each) for each in page], **more}


def _owned(sql: Sql, call: Call) -> Experiment:
    found = find(sql, call.caller, body.text(call.body, "experiment_id"))
    call.caller.write(found.project_id)
    return found


@writes
def update(sql: Sql, call: Call) -> Shape:
    found = _owned(sql, call)
    if new := body.text(call.body, "new_name", ""):
        project_id, name = call.caller.inward(new)
        if project_id != found.project_id and call.caller.project is None and project_id != 0:
            raise invalid("an experiment cannot be moved to another project; choose a name in its own")
        experiments.rename(sql, found, name if project_id == found.project_id else new, now=call.now)
    return {}


@writes
def delete(sql: Sql, call: Call) -> Shape:
    experiments.delete(sql, _owned(sql, call), now=call.now)
    return {}


@writes
def restore(sql: Sql, call: Call) -> Shape:
    experiments.restore(sql, _owned(sql, call), now=call.now)
    return {}


@writes
def set_tag(sql: Sql, call: Call) -> Shape:
    experiments.set_tag(sql, _owned(sql, call).id, body.text(call.body, "key"), body.text(call.body, "value", ""))
    return {}


@writes
def delete_tag(sql: Sql, call: Call) -> Shape:
    experiments.delete_tag(sql, _owned(sql, call).id, body.text(call.body, "key"))
    return {}


@reads
def search_datasets(sql: Sql, call: Call) -> Shape:
    asked = body.texts(call.body, "experiment_ids")
    if not 1 <= len(asked) <= 20:
        raise invalid("SearchDatasets request must specify 1 to 20 experiment_ids.")
    ids = [find(sql, call.caller, each).id for each in asked]
    rows = searching.datasets(sql, ids)
    return {
        "dataset_summaries": [
            {"experiment_id": str(where), "name": name, "digest": digest, **({"context": context} if context else {})}
            for where, name, digest, context in rows
        ]
    }
