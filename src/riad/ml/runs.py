"""Runs: executions of somebody's training code, and what it logs: parameters, tags, metrics, inputs, outputs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from riad.kernel.faults import invalid, not_found
from riad.ml import names
from riad.ml.experiments import put_tags, tags_of
from riad.ml.points import LARGEST, Series, encode
from riad.ml.sql import Sql, marks, record

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
ENDED = ("FINISHED", "FAILED", "KILLED")
NAME_TAG = "mlflow.runName"
USER_TAG = "mlflow.user"
CONTEXT_TAG = "mlflow.data.context"
"""Of a dataset that a run read: what for."""
MODELS_TAG = "mlflow.log-model.history"

COLUMNS = "r.id, r.uuid, r.experiment_id, r.name, r.user_id, r.status, r.started, r.ended, r.deleted, r.artifact_uri"
Metric = tuple[str, float, int, int]
"""(key, value, milliseconds since 1970, step)"""


@dataclass(frozen=True, slots=True)
class Run:
    """Times in milliseconds since 1970; `ended` None while it goes on."""

    id: int
    uuid: str
    experiment_id: int
    name: str
    user_id: str
    status: str
    started: int
    ended: int | None
    deleted: bool
    artifact_uri: str


@dataclass(frozen=True, slots=True)
class DatasetInput:
    name: str
    digest: str
    source_type: str
    source: str
    schema: str = ""
    profile: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Logged:
    """What a run has logged: the newest point of each metric."""

    metrics: list[Metric] = field(default_factory=list)
    params: list[tuple[str, str]] = field(default_factory=list)
    tags: list[tuple[str, str]] = field(default_factory=list)
    datasets: list[DatasetInput] = field(default_factory=list)
    models: list[tuple[str, str, int]] = field(default_factory=list)
    """(`input` or `output`, model's id, step)"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run belongs: enough to decide who may write to it, and to write."""

    id: int
    experiment_id: int
    project_id: int
    deleted: bool


def create(
    sql: Sql,
    *,
    experiment_id: int,
    artifact_location: str,
    user_id: str,
    name: str,
    started: int,
    tags: Sequence[tuple[str, str]],
) -> str:
    """The new run's id. Without a name, in the argument or as the tag `mlflow.runName`, it gets one."""
    tagged = dict(tags)
    if name and tagged.get(NAME_TAG, name) != name:
        raise invalid(
            f"Both 'run_name' argument and '{NAME_TAG}' tag are specified, but with different values "
            f"(run_name='{name}', {NAME_TAG}='{tagged[NAME_TAG]}')."
        )
    name = name or tagged.get(NAME_TAG) or _invented_name()
    tagged[NAME_TAG] = name
    check_tags(tagged.items())
    uuid = secrets.token_hex(16)
    found = sql.row(
        "INSERT INTO ml_run (uuid, experiment_id, name, user_id, status, started, ended, deleted, artifact_uri) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            uuid,
            experiment_id,
            name,
            user_id or tagged.get(USER_TAG, ""),
            "RUNNING",
            started,
            None,
            False,
            f"{artifact_location.rstrip('/')}/{uuid}/artifacts",
        ),
    )
    assert found is not None
    put_tags(sql, "ml_tag", "run_id", found[0], tagged.items())
    return uuid


def place(sql: Sql, uuid: str) -> Place:
    """Raises NOT_FOUND."""
    found = sql.row(
        "SELECT r.id, r.experiment_id, e.project_id, r.deleted FROM ml_run r "
        "JOIN ml_experiment e ON e.id = r.experiment_id WHERE r.uuid = ?",
        (uuid,),
    )
    if found is None:
        raise not_found(f"Run with id={uuid} not found")
    return Place(found[0], found[1], found[2], bool(found[3]))


def get(sql: Sql, uuid: str) -> Run:
    """Raises NOT_FOUND."""
    found = sql.row(f"SELECT {COLUMNS} FROM ml_run r WHERE r.uuid = ?", (uuid,))
    if found is None:
        raise not_found(f"Run with id={uuid} not found")
    return of_row(found)


def of_row(row: Sequence[object]) -> Run:
    """From a row of `COLUMNS`."""
    return record(Run, [*row[:8], bool(row[8]), row[9]])


def check_active(found: Place, uuid: str) -> None:
    """Raises INVALID for a deleted run."""
    if found.deleted:
        raise invalid(f"The run {uuid} must be in the 'active' state; it is deleted")


def update(sql: Sql, found: Place, *, status: str = "", ended: int | None = None, name: str = "") -> None:
    """Changes what is given. Raises INVALID for a status that there is not."""
    if status and status not in STATUSES:
        raise invalid(f"Invalid run status '{status}'; it is one of {', '.join(STATUSES)}")
    if status:
        sql.run("UPDATE ml_run SET status = ? WHERE id = ?", (status, found.id))
    if ended is not None:
        sql.run("UPDATE ml_run SET ended = ? WHERE id = ?", (ended, found.id))
    if name:
        sql.run("UPDATE ml_run SET name = ? WHERE id = ?", (name, found.id))
        put_tags(sql, "ml_tag", "run_id", found.id, [(NAME_TAG, name)])


def set_deleted(sql: Sql, found: Place, *, deleted: bool) -> None:
    sql.run("UPDATE ml_run SET deleted = ? WHERE id = ?", (deleted, found.id))


def check_tags(tags: Iterable[tuple[str, str]]) -> None:
    for key, value in tags:
        names.tag_key(key)
        names.bounded(value, names.LONGEST_TAG, f"The value of tag '{key}'")


def set_tags(sql: Sql, found: Place, tags: Sequence[tuple[str, str]]) -> None:
    """Values of tags may change. Raises INVALID."""
    check_tags(tags)
    put_tags(sql, "ml_tag", "run_id", found.id, tags)
    renamed = dict(tags).get(NAME_TAG)
    if renamed:
        sql.run("UPDATE ml_run SET name = ? WHERE id = ?", (renamed, found.id))


def note_models(sql: Sql, found: Place, history: str) -> None:
    """The models that clients before 3.0 have logged, as JSON: a tag, of any length."""
    put_tags(sql, "ml_tag", "run_id", found.id, [(MODELS_TAG, history)])


def delete_tag(sql: Sql, found: Place, uuid: str, key: str) -> None:
    """Raises NOT_FOUND."""
    if not sql.run("DELETE FROM ml_tag WHERE run_id = ? AND key = ?", (found.id, key)):
        raise not_found(f"No tag with name: {key} in run with id {uuid}")


def log_params(sql: Sql, found: Place, params: Sequence[tuple[str, str]]) -> None:
    """Parameters never change; the same value again is fine. Raises INVALID that names parameter and values."""
    for key, value in params:
        names.key(key, "parameter")
        names.bounded(value, names.LONGEST_PARAM, f"The value of parameter '{key}'")
    names.unique(key for key, _ in params)
    among = f"SELECT key, value FROM ml_param WHERE run_id = ? AND key IN ({marks(params)})"
    known: dict[str, str] = dict(sql.rows(among, (found.id, *(key for key, _ in params))))
    for key, value in params:
        if known.get(key, value) != value:
            raise invalid(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with value="
                f"'{known[key]}' for run ID. Attempted logging new value '{value}'."
            )
    new = [(key, value) for key, value in params if key not in known]
    sql.many("INSERT INTO ml_param (run_id, key, value) VALUES (?, ?, ?)", [(found.id, *each) for each in new])


_ADD_POINTS = "INSERT INTO ml_points (run_id, key, count, block) VALUES (?, ?, ?, ?)"
_ADD_LATEST = (
    "INSERT INTO ml_latest (run_id, key, value, is_nan, timestamp, step) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan, "
    "timestamp = excluded.timestamp, step = excluded.step "
    "WHERE (excluded.step, excluded.timestamp, excluded.value) >= "
    "(ml_latest.step, ml_latest.timestamp, ml_latest.value)"
)


def log_metrics(sql: Sql, found: Place, metrics: Sequence[Metric]) -> None:
    """The metrics have been checked by `names.key`."""
    by_key: dict[str, list[Metric]] = {}
    for metric in metrics:
        by_key.setdefault(metric[0], []).append(metric)
    blocks, newest = [], []
    for key, group in by_key.items():
        _, values, times, steps = zip(*group, strict=True)
        blocks.append((found.id, key, len(group), encode(steps, times, list(map(finite, values)))))
        _, value, at, step = max(group, key=_order) if len(group) > 1 else group[0]
        newest.append((found.id, key, *column(value), at, step))
    sql.many(_ADD_POINTS, blocks)
    sql.many(_ADD_LATEST, newest)


def finite(value: float) -> float:
    """Infinity as the largest number; NaN stays."""
    return LARGEST if value == float("inf") else -LARGEST if value == float("-inf") else value


def column(value: float) -> tuple[float, bool]:
    """A value as it is kept to be searched: a number, and whether it is none (SQLite knows no NaN)."""
    return (0.0, True) if value != value else (finite(value), False)


def _order(metric: Metric) -> tuple[int, int, float]:
    return metric[3], metric[2], metric[1] if metric[1] == metric[1] else 0.0


def history(sql: Sql, found: Place, key: str) -> Series:
    """All points of a metric; empty where there are none."""
    statement = "SELECT count, block FROM ml_points WHERE run_id = ? AND key = ? ORDER BY id"
    return Series(sql.rows(statement, (found.id, key)))


def join_blocks(sql: Sql, *, smaller_than: int, at_least: int, most: int) -> int:
    """Joins small blocks of one metric where it has many; returns how many metrics it has tidied, `most` at a time."""
    crowded = sql.rows(
        "SELECT run_id, key FROM ml_points WHERE count < ? GROUP BY run_id, key HAVING count(*) >= ? LIMIT ?",
        (smaller_than, at_least, most),
    )
    for run_id, key in crowded:
        rows = sql.rows(
            "SELECT id, count, block FROM ml_points WHERE run_id = ? AND key = ? AND count < ? ORDER BY id",
            (run_id, key, smaller_than),
        )
        joined = Series((count, block) for _, count, block in rows)
        first, *others = (row[0] for row in rows)
        sql.run(
            "UPDATE ml_points SET count = ?, block = ? WHERE id = ?",
            (len(joined), encode(joined.steps, joined.times, joined.values), first),
        )
        sql.many("DELETE FROM ml_points WHERE id = ?", [(other,) for other in others])
    return len(crowded)


def logged(sql: Sql, ids: Sequence[int]) -> dict[int, Logged]:
    """Everything that these runs have logged."""
    found = {each: Logged() for each in ids}
    if not ids:
        return found
    among = f"run_id IN ({marks(ids)})"
    for run_id, key, value, is_nan, at, step in sql.rows(
        f"SELECT run_id, key, value, is_nan, timestamp, step FROM ml_latest WHERE {among}",
        ids,
    ):
        found[run_id].metrics.append((key, float("nan") if is_nan else value, at, step))
    for run_id, key, value in sql.rows(f"SELECT run_id, key, value FROM ml_param WHERE {among}", ids):
        found[run_id].params.append((key, value))
    for run_id, key, value in sql.rows(f"SELECT run_id, key, value FROM ml_tag WHERE {among}", ids):
        found[run_id].tags.append((key, value))
    for run_id, kind, model_id, step in sql.rows(
        f"SELECT run_id, kind, model_id, step FROM ml_run_model WHERE {among}",
        ids,
    ):
        found[run_id].models.append((kind, model_id, step))
    _add_datasets(sql, found, ids)
    return found


def _add_datasets(sql: Sql, found: dict[int, Logged], ids: Sequence[int]) -> None:
    rows = sql.rows(
        "SELECT i.run_id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile, i.tags "
        f"FROM ml_run_dataset i JOIN ml_dataset d ON d.id = i.dataset_id WHERE i.run_id IN ({marks(ids)})",
        ids,
    )
    for run_id, *dataset, tags in rows:
        found[run_id].datasets.append(record(DatasetInput, dataset, tags=json.loads(tags)))


def log_datasets(sql: Sql, found: Place, datasets: Sequence[DatasetInput]) -> None:
    """Data that the run read. The same dataset again keeps what it was tagged with first."""
    for each in datasets:
        if not each.name or not each.digest:
            raise invalid("a dataset needs a name and a digest")
        names.bounded(each.name, 500, "The dataset's name")
        names.bounded(each.digest, 36, "The dataset's digest")
        row = sql.row(
            "INSERT INTO ml_dataset (experiment_id, name, digest, source_type, source, schema, profile) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (experiment_id, name, digest) "
            "DO UPDATE SET name = excluded.name RETURNING id",
            (found.experiment_id, each.name, each.digest, each.source_type, each.source, each.schema, each.profile),
        )
        assert row is not None
        sql.run(
            "INSERT INTO ml_run_dataset (run_id, dataset_id, tags) VALUES (?, ?, ?) "
            "ON CONFLICT (run_id, dataset_id) DO NOTHING",
            (found.id, row[0], json.dumps(dict(each.tags))),
        )


def link_models(sql: Sql, found: Place, kind: str, models: Sequence[tuple[str, int]]) -> None:
    """`models` are (id, step); `kind` is `input` or `output`."""
    sql.many(
        "INSERT INTO ml_run_model (run_id, model_id, kind, step) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (run_id, model_id, kind) DO UPDATE SET step = excluded.step",
        [(found.id, model_id, kind, step) for model_id, step in models],
    )


def tags(sql: Sql, run_id: int) -> dict[str, str]:
    return tags_of(sql, "ml_tag", "run_id", [run_id])[run_id]


_FIRST = "able bold brave calm clever daring eager fair fleet gentle grand keen kind lucid merry noble quick quiet"
_SECOND = "ant bear crane crow deer dove eel finch fox gnu hare hawk heron ibis jay lark lynx mole newt otter owl"


def _invented_name() -> str:
    return f"{secrets.choice(_FIRST.split())}-{secrets.choice(_SECOND.split())}-{secrets.randbelow(1000)}"
