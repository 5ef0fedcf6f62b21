"""The model registry: registered models, their versions, aliases, stages and tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from riad.kernel.faults import conflict, invalid, not_found
from riad.ml import names
from riad.ml.experiments import put_tags, tags_of
from riad.ml.sql import Sql, marks, record

STAGES = ("None", "Staging", "Production", "Archived")
_STAGE = {stage.lower(): stage for stage in STAGES}
READY = "READY"
_MODEL = "m.id, m.project_id, m.name, m.description, m.created, m.updated"
_VERSION = (
    "v.id, v.model_id, m.name, v.version, v.description, v.user_id, v.stage, v.source, v.storage, v.run_uuid, "
    "v.run_link, v.logged_model, v.status, v.created, v.updated"
)


@dataclass(frozen=True, slots=True)
class Version:
    """Times in milliseconds since 1970. `storage`: where its files are, also where `source` names them indirectly."""

    id: int
    model_id: int
    name: str
    version: int
    description: str
    user_id: str
    stage: str
    source: str
    storage: str
    run_uuid: str
    run_link: str
    logged_model: str
    status: str
    created: int
    updated: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Model:
    id: int
    project_id: int
    name: str
    description: str
    created: int
    updated: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    latest: Sequence[Version] = ()
    """The newest version of each stage."""


@dataclass(frozen=True, slots=True)
class NewVersion:
    source: str
    storage: str
    run_uuid: str = ""
    run_link: str = ""
    description: str = ""
    user_id: str = ""
    logged_model: str = ""
    tags: Sequence[tuple[str, str]] = ()


def create(
    sql: Sql, *, project_id: int, name: str, description: str, tags: Sequence[tuple[str, str]], now: int
) -> Model:
    """Raises CONFLICT where the name is taken, INVALID."""
    names.model(name)
    if sql.row("SELECT 1 FROM ml_model WHERE project_id = ? AND name = ?", (project_id, name)):
        raise conflict(f"Registered Model (name={name}) already exists.")
    check_tags(tags)
    found = sql.row(
        "INSERT INTO ml_model (project_id, name, description, created, updated, last_version) "
        "VALUES (?, ?, ?, ?, ?, 0) RETURNING id",
        (project_id, name, description, now, now),
    )
    assert found is not None
    put_tags(sql, "ml_model_tag", "model_id", found[0], tags)
    return get(sql, project_id, name)


def get(sql: Sql, project_id: int, name: str) -> Model:
    """Raises NOT_FOUND."""
    rows = sql.rows(f"SELECT {_MODEL} FROM ml_model m WHERE m.project_id = ? AND m.name = ?", (project_id, name))
    if not rows:
        raise not_found(f"Registered Model with name={name} not found")
    return whole(sql, [row[0] for row in rows])[0]


def whole(sql: Sql, ids: Sequence[int]) -> list[Model]:
    """These models with all that belongs to them, in this order."""
    if not ids:
        return []
    rows = {row[0]: row for row in sql.rows(f"SELECT {_MODEL} FROM ml_model m WHERE m.id IN ({marks(ids)})", ids)}
    tags = tags_of(sql, "ml_model_tag", "model_id", ids)
    aliases: dict[int, dict[str, int]] = {each: {} for each in ids}
    for model_id, alias, version in sql.rows(
        f"SELECT model_id, alias, version FROM ml_model_alias WHERE model_id IN ({marks(ids)}) ORDER BY alias",
        ids,
    ):
        aliases[model_id][alias] = version
    newest: dict[int, list[Version]] = {each: [] for each in ids}
    chosen = (
        "v.id IN (SELECT n.id FROM ml_model_version n JOIN (SELECT model_id, stage, max(version) AS newest "
        f"FROM ml_model_version WHERE model_id IN ({marks(ids)}) GROUP BY model_id, stage) g "
        "ON n.model_id = g.model_id AND n.version = g.newest)"
    )
    for each in _versions(sql, chosen, ids):
        newest[each.model_id].append(each)
    return [
        record(Model, rows[each], tags=tags[each], aliases=aliases[each], latest=newest[each])
        for each in ids
        if each in rows
    ]


def rename(sql: Sql, model: Model, name: str, *, now: int) -> None:
    names.model(name)
    if name != model.name and sql.row(
        "SELECT 1 FROM ml_model WHERE project_id = ? AND name = ?", (model.project_id, name)
    ):
        raise conflict(f"Registered Model (name={name}) already exists.")
    sql.run("UPDATE ml_model SET name = ?, updated = ? WHERE id = ?", (name, now, model.id))


def describe(sql: Sql, model: Model, description: str, *, now: int) -> None:
    sql.run("UPDATE ml_model SET description = ?, updated = ? WHERE id = ?", (description, now, model.id))


def delete(sql: Sql, model: Model) -> None:
    """With all of its versions; what they were made of stays."""
    for row in sql.rows("SELECT id FROM ml_model_version WHERE model_id = ?", (model.id,)):
        sql.run("DELETE FROM ml_model_version_tag WHERE version_id = ?", row)
    for table in ("ml_model_version", "ml_model_alias", "ml_model_tag"):
        sql.run(f"DELETE FROM {table} WHERE model_id = ?", (model.id,))
    sql.run("DELETE FROM ml_model WHERE id = ?", (model.id,))


def check_tags(tags: Iterable[tuple[str, str]]) -> None:
    for key, value in tags:
        names.tag_key(key)
        names.bounded(value, names.LONGEST_MODEL_TAG, f"The value of tag '{key}'")


def set_tag(sql: Sql, model: Model, key: str, value: str) -> None:
    check_tags([(key, value)])
    put_tags(sql, "ml_model_tag", "model_id", model.id, [(key, value)])


def delete_tag(sql: Sql, model: Model, key: str) -> None:
    sql.run("DELETE FROM ml_model_tag WHERE model_id = ? AND key = ?", (model.id, key))


def set_alias(sql: Sql, model: Model, alias: str, version: int) -> None:
    """Raises NOT_FOUND for a version that there is not."""
    names.alias(alias)
    get_version(sql, model, version)
    sql.run(
        "INSERT INTO ml_model_alias (model_id, alias, version) VALUES (?, ?, ?) "
        "ON CONFLICT (model_id, alias) DO UPDATE SET version = excluded.version",
        (model.id, alias, version),
    )


def delete_alias(sql: Sql, model: Model, alias: str) -> None:
    sql.run("DELETE FROM ml_model_alias WHERE model_id = ? AND alias = ?", (model.id, alias))


def by_alias(sql: Sql, model: Model, alias: str) -> Version:
    """Raises INVALID for an alias that there is not; `latest` is the newest version."""
    if alias.lower() == "latest":
        found = sql.row("SELECT max(version) FROM ml_model_version WHERE model_id = ?", (model.id,))
        if found is None or found[0] is None:
            raise not_found(f"Registered model {model.name} has no versions")
        return get_version(sql, model, int(found[0]))
    if alias not in model.aliases:
        raise invalid(f"Registered model alias {alias} not found.")
    return get_version(sql, model, model.aliases[alias])


def add_version(sql: Sql, model: Model, wanted: NewVersion, *, now: int) -> Version:
    """Numbers are never given twice, not even those of deleted versions."""
    check_tags(wanted.tags)
    found = sql.row(
        "UPDATE ml_model SET last_version = last_version + 1, updated = ? WHERE id = ? RETURNING last_version",
        (now, model.id),
    )
    assert found is not None
    number = int(found[0])
    row = sql.row(
        "INSERT INTO ml_model_version (model_id, version, description, user_id, stage, source, storage, run_uuid, "
        "run_link, logged_model, status, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            model.id, number, wanted.description, wanted.user_id, "None", wanted.source, wanted.storage,
            wanted.run_uuid, wanted.run_link, wanted.logged_model, READY, now, now,
        ),
    )  # fmt: skip
    assert row is not None
    put_tags(sql, "ml_model_version_tag", "version_id", row[0], wanted.tags)
    return get_version(sql, model, number)


def get_version(sql: Sql, model: Model, version: int) -> Version:
    """Raises NOT_FOUND."""
    found = _versions(sql, "v.model_id = ? AND v.version = ?", (model.id, version))
    if not found:
        raise not_found(f"Model Version (name={model.name}, version={version}) not found")
    return found[0]


def describe_version(sql: Sql, version: Version, description: str, *, now: int) -> None:
    sql.run("UPDATE ml_model_version SET description = ?, updated = ? WHERE id = ?", (description, now, version.id))


def transition(sql: Sql, version: Version, stage: str, *, archive_others: bool, now: int) -> None:
    """Raises INVALID for a stage that there is not, or archiving others for a stage that is not in service."""
    wanted = stage_of(stage)
    if archive_others and wanted not in ("Staging", "Production"):
        raise invalid(
            f"Model version transition cannot archive existing model versions because '{stage}' is not an Active "
            "stage. Valid stages are Staging, Production"
        )
    if archive_others:
        sql.run(
            "UPDATE ml_model_version SET stage = ?, updated = ? WHERE model_id = ? AND stage = ? AND id <> ?",
            ("Archived", now, version.model_id, wanted, version.id),
        )
    sql.run("UPDATE ml_model_version SET stage = ?, updated = ? WHERE id = ?", (wanted, now, version.id))
    sql.run("UPDATE ml_model SET updated = ? WHERE id = ?", (now, version.model_id))


def stage_of(text: str) -> str:
    """In any case. Raises INVALID."""
    found = _STAGE.get(text.lower())
    if found is None:
        raise invalid(f"Invalid Model Version stage: {text}. Value must be one of {', '.join(STAGES)}.")
    return found


def newest_of(sql: Sql, model: Model, stages: Sequence[str]) -> list[Version]:
    """The newest version of each of these stages; of every stage where none is named."""
    wanted = {stage_of(stage) for stage in stages}
    return [version for version in model.latest if not wanted or version.stage in wanted]


def delete_version(sql: Sql, version: Version, *, now: int) -> None:
    """Its aliases go with it."""
    sql.run("DELETE FROM ml_model_alias WHERE model_id = ? AND version = ?", (version.model_id, version.version))
    sql.run("DELETE FROM ml_model_version_tag WHERE version_id = ?", (version.id,))
    sql.run("DELETE FROM ml_model_version WHERE id = ?", (version.id,))
    sql.run("UPDATE ml_model SET updated = ? WHERE id = ?", (now, version.model_id))


def set_version_tag(sql: Sql, version: Version, key: str, value: str) -> None:
    check_tags([(key, value)])
    put_tags(sql, "ml_model_version_tag", "version_id", version.id, [(key, value)])


def delete_version_tag(sql: Sql, version: Version, key: str) -> None:
    sql.run("DELETE FROM ml_model_version_tag WHERE version_id = ? AND key = ?", (version.id, key))


def versions(sql: Sql, ids: Sequence[int]) -> list[Version]:
    """By the rows' ids, in this order."""
    if not ids:
        return []
    found = {each.id: each for each in _versions(sql, f"v.id IN ({marks(ids)})", ids)}
    return [found[each] for each in ids if each in found]


def _versions(sql: Sql, condition: str, values: Sequence[object]) -> list[Version]:
    rows = sql.rows(
        f"SELECT {_VERSION} FROM ml_model_version v JOIN ml_model m ON m.id = v.model_id "
        f"WHERE {condition} ORDER BY v.model_id, v.version",
        values,
    )
    if not rows:
        return []
    tags = tags_of(sql, "ml_model_version_tag", "version_id", [row[0] for row in rows])
    models = sorted({row[1] for row in rows})
    aliases: dict[tuple[int, int], list[str]] = {}
    for model_id, alias, version in sql.rows(
        f"SELECT model_id, alias, version FROM ml_model_alias WHERE model_id IN ({marks(models)}) ORDER BY alias",
        models,
    ):
        aliases.setdefault((model_id, version), []).append(alias)
    return [record(Version, row, tags=tags[row[0]], aliases=aliases.get((row[1], row[3]), [])) for row in rows]
