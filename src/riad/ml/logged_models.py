"""Logged models: what `log_model` makes of a run, a thing of its own with status, parameters, tags and metrics."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from riad.kernel.faults import invalid, not_found
from riad.ml import names
from riad.ml.experiments import Experiment, put_tags, tags_of
from riad.ml.runs import Metric, column
from riad.ml.search import grammar, statement
from riad.ml.search.grammar import COMPARISONS, TEXT, Attribute, Subject
from riad.ml.search.statement import Keyed, Text
from riad.ml.sql import Row, Sql, marks, record

PENDING, READY, FAILED = "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"
STATUSES = (PENDING, READY, FAILED)
_COLUMNS = (
    "m.id, m.uuid, m.experiment_id, m.name, m.model_type, m.source_run, m.status, m.status_message, m.artifact_uri, "
    "m.created, m.updated"
)


@dataclass(frozen=True, slots=True)
class ModelMetric:
    key: str
    value: float
    timestamp: int
    step: int
    run_uuid: str
    dataset_name: str
    dataset_digest: str


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """Times in milliseconds since 1970. `uuid` is what clients call its id."""

    id: int
    uuid: str
    experiment_id: int
    name: str
    model_type: str
    source_run: str
    status: str
    status_message: str
    artifact_uri: str
    created: int
    updated: int
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[ModelMetric] = ()


@dataclass(frozen=True, slots=True)
class NewModel:
    name: str
    model_type: str = ""
    source_run: str = ""
    params: Sequence[tuple[str, str]] = ()
    tags: Sequence[tuple[str, str]] = ()


def create(sql: Sql, experiment: Experiment, wanted: NewModel, *, now: int) -> str:
    """The new model's id. Raises INVALID."""
    name = wanted.name or f"model-{secrets.token_hex(4)}"
    if any(letter in name for letter in "/:.%\"'"):
        raise invalid(f"Invalid model name ({name!r}): it cannot contain '/', ':', '.', '%', '\"' or \"'\"")
    uuid = f"m-{secrets.token_hex(16)}"
    found = sql.row(
        "INSERT INTO ml_logged_model (uuid, experiment_id, name, model_type, source_run, status, status_message, "
        "artifact_uri, created, updated, deleted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            uuid,
            experiment.id,
            name,
            wanted.model_type,
            wanted.source_run,
            PENDING,
            "",
            f"{experiment.artifact_location.rstrip('/')}/models/{uuid}/artifacts",
            now,
            now,
            False,
        ),
    )
    assert found is not None
    put_tags(sql, "ml_logged_model_tag", "model_id", found[0], wanted.tags)
    log_params(sql, found[0], wanted.params)
    return uuid


def get(sql: Sql, uuid: str) -> LoggedModel:
    """Raises NOT_FOUND, for deleted ones too."""
    rows = sql.rows(f"SELECT {_COLUMNS} FROM ml_logged_model m WHERE m.uuid = ? AND NOT m.deleted", (uuid,))
    if not rows:
        raise not_found(f"Logged model with ID '{uuid}' not found.")
    return _whole(sql, rows)[0]


def of_run(sql: Sql, run_uuid: str) -> list[LoggedModel]:
    """What a run has made."""
    statement = f"SELECT {_COLUMNS} FROM ml_logged_model m WHERE m.source_run = ? AND NOT m.deleted ORDER BY m.id"
    return _whole(sql, sql.rows(statement, (run_uuid,)))


def place(sql: Sql, uuid: str) -> tuple[int, int]:
    """(its row's id, the project of its experiment). Raises NOT_FOUND."""
    found = sql.row(
        "SELECT m.id, e.project_id FROM ml_logged_model m JOIN ml_experiment e ON e.id = m.experiment_id "
        "WHERE m.uuid = ? AND NOT m.deleted",
        (uuid,),
    )
    if found is None:
        raise not_found(f"Logged model with ID '{uuid}' not found.")
    return found[0], found[1]


def finalize(sql: Sql, model_id: int, status: str, *, now: int) -> None:
    if status not in STATUSES:
        raise invalid(f"Invalid model status '{status}'; it is one of {', '.join(STATUSES)}")
    sql.run("UPDATE ml_logged_model SET status = ?, updated = ? WHERE id = ?", (status, now, model_id))


def delete(sql: Sql, model_id: int, *, now: int) -> None:
    sql.run("UPDATE ml_logged_model SET deleted = ?, updated = ? WHERE id = ?", (True, now, model_id))


def set_tags(sql: Sql, model_id: int, tags: Sequence[tuple[str, str]]) -> None:
    for key, value in tags:
        names.tag_key(key)
        names.bounded(value, names.LONGEST_TAG, f"The value of tag '{key}'")
    put_tags(sql, "ml_logged_model_tag", "model_id", model_id, tags)


def delete_tag(sql: Sql, model_id: int, uuid: str, key: str) -> None:
    if not sql.run("DELETE FROM ml_logged_model_tag WHERE model_id = ? AND key = ?", (model_id, key)):
        raise not_found(f"No tag with key {key!r} found for model with ID {uuid!r}.")


def log_params(sql: Sql, model_id: int, params: Sequence[tuple[str, str]]) -> None:
    for key, value in params:
        names.key(key, "parameter")
        names.bounded(value, names.LONGEST_PARAM, f"The value of parameter '{key}'")
    put_tags(sql, "ml_logged_model_param", "model_id", model_id, params)


def log_metrics(sql: Sql, run_uuid: str, metrics: Sequence[tuple[str, str, str, Metric]]) -> None:
    """(model's id, dataset's name, its digest, metric): the newest point of each counts. Raises NOT_FOUND."""
    ids = {uuid: place(sql, uuid)[0] for uuid, _, _, _ in metrics}
    sql.many(
        "INSERT INTO ml_logged_model_metric (model_id, key, dataset_name, dataset_digest, run_uuid, value, is_nan, "
        "timestamp, step) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (model_id, key, dataset_name, dataset_digest, run_uuid) DO UPDATE SET value = excluded.value, "
        "is_nan = excluded.is_nan, timestamp = excluded.timestamp, step = excluded.step "
        "WHERE (excluded.step, excluded.timestamp) >= (ml_logged_model_metric.step, ml_logged_model_metric.timestamp)",
        [
            (
                ids[uuid],
                key,
                name,
                digest,
                run_uuid,
                *column(value),
                at,
                step,
            )
            for uuid, name, digest, (key, value, at, step) in metrics
        ],
    )


_TIME = Attribute("m.created", numeric=True)
_UPDATED = Attribute("m.updated", numeric=True)
SUBJECT = Subject(
    attributes={
        "name": Attribute("m.name", lists=True),
        "model_id": Attribute("m.uuid", lists=True),
        "model_type": Attribute("m.model_type", lists=True),
        "status": Attribute("replace(m.status, 'LOGGED_MODEL_', '')", lists=True),
        "source_run_id": Attribute("m.source_run", lists=True),
        "creation_timestamp": _TIME,
        "creation_time": _TIME,
        "last_updated_timestamp": _UPDATED,
        "last_updated_time": _UPDATED,
    },
    kinds={"metric": COMPARISONS, "param": TEXT, "tag": TEXT},
)
_TABLES = {
    "metric": Keyed("ml_logged_model_metric", "model_id", "m.id"),
    "param": Keyed("ml_logged_model_param", "model_id", "m.id"),
    "tag": Keyed("ml_logged_model_tag", "model_id", "m.id"),
}


@dataclass(frozen=True, slots=True)
class OrderBy:
    field: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """`datasets` are (name, digest or "")."""

    experiment_ids: Sequence[int]
    filter: str = ""
    datasets: Sequence[tuple[str, str]] = ()
    order_by: Sequence[OrderBy] = ()
    limit: int = 100
    offset: int = 0


def search(sql: Sql, question: Question) -> list[LoggedModel]:
    """Newest first unless the question orders otherwise. Raises INVALID."""
    if not question.experiment_ids:
        return []
    conditions = grammar.parse_filter(question.filter, SUBJECT)
    pieces = statement.where(
        [each for each in conditions if each.kind != "metric"], SUBJECT, _TABLES, sqlite=sql.sqlite
    )
    metrics = [each for each in conditions if each.kind == "metric"]
    for condition in metrics:
        compared = statement.comparison("value", condition, sqlite=sql.sqlite)
        pieces.append(
            _on(
                question.datasets, Text(f"key = ? AND NOT is_nan AND {compared.sql}", [condition.key, *compared.values])
            )
        )
    if question.datasets and not metrics:
        pieces.append(_on(question.datasets, Text("1 = 1")))
    pieces.append(Text(f"m.experiment_id IN ({marks(question.experiment_ids)})", list(question.experiment_ids)))
    terms, values = _ordering(question.order_by)
    rows = sql.rows(
        f"SELECT {_COLUMNS} FROM ml_logged_model m "
        f"WHERE NOT m.deleted AND {' AND '.join(piece.sql for piece in pieces)} "
        f"ORDER BY {', '.join([*terms, 'm.created DESC', 'm.id DESC'])} LIMIT ? OFFSET ?",
        [*(value for piece in pieces for value in piece.values), *values, question.limit, question.offset],
    )
    return _whole(sql, rows)


def _on(datasets: Sequence[tuple[str, str]], wanted: Text) -> Text:
    """Models with a metric that is wanted, on one of the datasets where there are any."""
    among = Text("")
    if datasets:
        either = " OR ".join("(dataset_name = ? AND (? = '' OR dataset_digest = ?))" for _ in datasets)
        among = Text(f" AND ({either})", [value for name, digest in datasets for value in (name, digest, digest)])
    return Text(
        f"m.id IN (SELECT model_id FROM ml_logged_model_metric WHERE {wanted.sql}{among.sql})",
        [*wanted.values, *among.values],
    )


def _ordering(orders: Sequence[OrderBy]) -> tuple[list[str], list[object]]:
    terms: list[str] = []
    values: list[object] = []
    for each in orders:
        order = grammar.parse_order(each.field, SUBJECT)
        direction = "" if each.ascending else " DESC"
        if order.kind == "attribute":
            terms.append(f"{SUBJECT.attributes[order.key].column}{direction}")
        elif order.kind == "metric":
            newest = (
                "(SELECT value FROM ml_logged_model_metric o WHERE o.model_id = m.id AND o.key = ? AND NOT o.is_nan "
                "AND (? = '' OR o.dataset_name = ?) AND (? = '' OR o.dataset_digest = ?) "
                "ORDER BY o.timestamp DESC, o.step DESC LIMIT 1)"
            )
            wanted = (order.key, each.dataset_name, each.dataset_name, each.dataset_digest, each.dataset_digest)
            terms += [f"CASE WHEN {newest} IS NULL THEN 1 ELSE 0 END", f"{newest}{direction}"]
            values += [*wanted, *wanted]
        else:
            raise invalid(f"Invalid order by field: {each.field}. It has to be an attribute or metrics.KEY.")
    return terms, values


def _whole(sql: Sql, rows: Sequence[Row]) -> list[LoggedModel]:
    ids = [row[0] for row in rows]
    tags = tags_of(sql, "ml_logged_model_tag", "model_id", ids)
    params = tags_of(sql, "ml_logged_model_param", "model_id", ids)
    metrics: dict[int, list[ModelMetric]] = {each: [] for each in ids}
    if ids:
        for model_id, key, value, is_nan, at, step, run_uuid, name, digest in sql.rows(
            "SELECT model_id, key, value, is_nan, timestamp, step, run_uuid, dataset_name, dataset_digest "
            f"FROM ml_logged_model_metric WHERE model_id IN ({marks(ids)})",
            ids,
        ):
            number = float("nan") if is_nan else value
            metrics[model_id].append(ModelMetric(key, number, at, step, run_uuid, name, digest))
    return [record(LoggedModel, row, tags=tags[row[0]], params=params[row[0]], metrics=metrics[row[0]]) for row in rows]
