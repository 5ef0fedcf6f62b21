"""Experiments: named folders of runs, each in one space (a project, or 0, which all users share)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import conflict, invalid, not_found
from riad.ml import names
from riad.ml.sql import Sql, marks, record, writing

DEFAULT = "Default"
SHARED = 0
_COLUMNS = "id, project_id, name, artifact_location, deleted, created, updated"


@dataclass(frozen=True, slots=True)
class Experiment:
    """Times in milliseconds since 1970."""

    id: int
    project_id: int
    name: str
    artifact_location: str
    deleted: bool
    created: int
    updated: int
    tags: Mapping[str, str]


def create(
    sql: Sql, *, project_id: int, name: str, tags: Mapping[str, str], artifact_location: str = "", now: int
) -> int:
    """The new experiment's id. Raises CONFLICT where the name is taken, INVALID."""
    names.experiment(name)
    if sql.row("SELECT deleted FROM ml_experiment WHERE project_id = ? AND name = ?", (project_id, name)):
        taken = by_name(sql, project_id, name)
        state = "deleted state. You can restore the experiment, or permanently delete it" if taken.deleted else "use"
        raise conflict(f"Experiment '{name}' already exists in {state}.")
    found = sql.row(
        "INSERT INTO ml_experiment (project_id, name, artifact_location, deleted, created, updated) "
        "VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        (project_id, name, artifact_location, False, now, now),
    )
    assert found is not None
    experiment_id = int(found[0])
    if not artifact_location:
        sql.run(
            "UPDATE ml_experiment SET artifact_location = ? WHERE id = ?",
            (f"mlflow-artifacts:/{experiment_id}", experiment_id),
        )
    for key, value in tags.items():
        set_tag(sql, experiment_id, key, value)
    return experiment_id


def ensure_default(sql: Sql, *, project_id: int, now: int) -> int:
    """The id of the space's experiment for runs that name none."""
    found = sql.row("SELECT id FROM ml_experiment WHERE project_id = ? AND name = ?", (project_id, DEFAULT))
    return int(found[0]) if found else create(sql, project_id=project_id, name=DEFAULT, tags={}, now=now)


def ensure_first(database: Database, *, clock: Clock) -> None:
    """The experiment of number 0, for runs of nobody's project that name none: clients count on it."""
    now = int(clock.now().timestamp() * 1000)
    with writing(database) as sql:
        sql.run(
            "INSERT INTO ml_experiment (id, project_id, name, artifact_location, deleted, created, updated) "
            "VALUES (0, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (SHARED, DEFAULT, "mlflow-artifacts:/0", False, now, now),
        )


def get(sql: Sql, experiment_id: int) -> Experiment:
    """Raises NOT_FOUND."""
    found = _load(sql, "id = ?", (experiment_id,))
    if not found:
        raise not_found(f"No Experiment with id={experiment_id} exists")
    return found[0]


def by_name(sql: Sql, project_id: int, name: str) -> Experiment:
    """Raises NOT_FOUND."""
    found = _load(sql, "project_id = ? AND name = ?", (project_id, name))
    if not found:
        raise not_found(f"Could not find experiment with name '{name}'")
    return found[0]


def several(sql: Sql, ids: Sequence[int]) -> list[Experiment]:
    """Those that exist, in this order."""
    if not ids:
        return []
    found = {each.id: each for each in _load(sql, f"id IN ({marks(ids)})", ids)}
    return [found[each] for each in ids if each in found]


@dataclass(frozen=True, slots=True)
class Summary:
    """How many runs there are, and when the newest was started (milliseconds since 1970)."""

    runs: int = 0
    newest: int | None = None


def summaries(sql: Sql, ids: Sequence[int]) -> dict[int, Summary]:
    """Of these experiments' runs, deleted ones aside."""
    found = {each: Summary() for each in ids}
    if ids:
        among = f"WHERE NOT deleted AND experiment_id IN ({marks(ids)})"
        statement = f"SELECT experiment_id, count(*), max(started) FROM ml_run {among} GROUP BY experiment_id"
        found |= {row[0]: Summary(row[1], row[2]) for row in sql.rows(statement, ids)}
    return found


def rename(sql: Sql, experiment: Experiment, name: str, *, now: int) -> None:
    """Raises INVALID for a deleted one, CONFLICT for a name that is taken."""
    names.experiment(name)
    _check_active(experiment)
    if name != experiment.name and _load(sql, "project_id = ? AND name = ?", (experiment.project_id, name)):
        raise conflict(f"Experiment '{name}' already exists.")
    sql.run("UPDATE ml_experiment SET name = ?, updated = ? WHERE id = ?", (name, now, experiment.id))


def delete(sql: Sql, experiment: Experiment, *, now: int) -> None:
    """Its runs go with it, and come back with it. Raises INVALID where it is deleted already."""
    _check_active(experiment)
    sql.run("UPDATE ml_experiment SET deleted = ?, updated = ? WHERE id = ?", (True, now, experiment.id))
    sql.run("UPDATE ml_run SET deleted = ? WHERE experiment_id = ?", (True, experiment.id))


def restore(sql: Sql, experiment: Experiment, *, now: int) -> None:
    if not experiment.deleted:
        raise invalid(f"The experiment {experiment.id} is not deleted")
    sql.run("UPDATE ml_experiment SET deleted = ?, updated = ? WHERE id = ?", (False, now, experiment.id))
    sql.run("UPDATE ml_run SET deleted = ? WHERE experiment_id = ?", (False, experiment.id))


def set_tag(sql: Sql, experiment_id: int, key: str, value: str) -> None:
    names.tag_key(key)
    names.bounded(value, names.LONGEST_EXPERIMENT_TAG, f"The value of experiment tag '{key}'")
    put_tags(sql, "ml_experiment_tag", "experiment_id", experiment_id, [(key, value)])


def delete_tag(sql: Sql, experiment_id: int, key: str) -> None:
    """Raises NOT_FOUND."""
    if not sql.run("DELETE FROM ml_experiment_tag WHERE experiment_id = ? AND key = ?", (experiment_id, key)):
        raise not_found(f"No tag with name: {key} in experiment with id {experiment_id}")


def put_tags(sql: Sql, table: str, owner: str, owner_id: int, tags: Iterable[tuple[str, str]]) -> None:
    """Sets tags in one of the tables of that shape."""
    sql.many(
        f"INSERT INTO {table} ({owner}, key, value) VALUES (?, ?, ?) "
        f"ON CONFLICT ({owner}, key) DO UPDATE SET value = excluded.value",
        [(owner_id, key, value) for key, value in tags],
    )


def tags_of(sql: Sql, table: str, owner: str, ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """owner's id → key → value"""
    found: dict[int, dict[str, str]] = {each: {} for each in ids}
    if ids:
        statement = f"SELECT {owner}, key, value FROM {table} WHERE {owner} IN ({marks(ids)}) ORDER BY key"
        for owner_id, key, value in sql.rows(statement, ids):
            found[owner_id][key] = value
    return found


def _check_active(experiment: Experiment) -> None:
    if experiment.deleted:
        raise invalid(f"The experiment {experiment.id} must be in the 'active' state; it is deleted")


def _load(sql: Sql, condition: str, values: Sequence[object]) -> list[Experiment]:
    rows = sql.rows(f"SELECT {_COLUMNS} FROM ml_experiment WHERE {condition}", values)
    tags = tags_of(sql, "ml_experiment_tag", "experiment_id", [row[0] for row in rows])
    return [record(Experiment, [*row[:4], bool(row[4]), *row[5:]], tags=tags[row[0]]) for row in rows]
