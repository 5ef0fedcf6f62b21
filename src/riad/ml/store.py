"""The tables of experiments, runs, datasets and models.

Times are milliseconds since 1970. `project_id` 0 is the installation's shared space. Points of metrics are kept as
blocks (see `points`); the newest of each key is kept apart, because that is what runs are searched by.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from riad.kernel.db import Base

_BIG = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[int]:
    return Column("id", _BIG, primary_key=True, autoincrement=True)


def _tags(name: str, owner: str) -> Table:
    return Table(
        name,
        Base.metadata,
        Column(owner, _BIG, primary_key=True),
        Column("key", String, primary_key=True),
        Column("value", Text, nullable=False),
        sqlite_with_rowid=False,
    )


experiment = Table(
    "ml_experiment",
    Base.metadata,
    _id(),
    Column("project_id", _BIG, nullable=False),
    Column("name", String, nullable=False),
    Column("artifact_location", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("created", _BIG, nullable=False),
    Column("updated", _BIG, nullable=False),
    UniqueConstraint("project_id", "name"),
    sqlite_autoincrement=True,
)
experiment_tag = _tags("ml_experiment_tag", "experiment_id")

run = Table(
    "ml_run",
    Base.metadata,
    _id(),
    Column("uuid", String(32), nullable=False, unique=True),
    Column("experiment_id", _BIG, nullable=False),
    Column("name", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("started", _BIG, nullable=False),
    Column("ended", _BIG),
    Column("deleted", Boolean, nullable=False),
    Column("artifact_uri", Text, nullable=False),
    Index("ix_ml_run_newest", "experiment_id", "deleted", "started"),
)
param = _tags("ml_param", "run_id")
tag = _tags("ml_tag", "run_id")
latest = Table(
    "ml_latest",
    Base.metadata,
    Column("run_id", _BIG, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", Float(53), nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column("timestamp", _BIG, nullable=False),
    Column("step", _BIG, nullable=False),
    sqlite_with_rowid=False,
)
"""The point of the highest step (then time, then value) of each metric of a run."""
points = Table(
    "ml_points",
    Base.metadata,
    _id(),
    Column("run_id", _BIG, nullable=False),
    Column("key", String, nullable=False),
    Column("count", Integer, nullable=False),
    Column("block", LargeBinary, nullable=False),
    Index("ix_ml_points_of", "run_id", "key", "id"),
)

dataset = Table(
    "ml_dataset",
    Base.metadata,
    _id(),
    Column("experiment_id", _BIG, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("source_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("profile", Text, nullable=False),
    UniqueConstraint("experiment_id", "name", "digest"),
)
run_dataset = Table(
    "ml_run_dataset",
    Base.metadata,
    Column("run_id", _BIG, primary_key=True),
    Column("dataset_id", _BIG, primary_key=True, index=True),
    Column("tags", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""`tags`: a JSON object."""
run_model = Table(
    "ml_run_model",
    Base.metadata,
    Column("run_id", _BIG, primary_key=True),
    Column("model_id", String(34), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("step", _BIG, nullable=False),
    sqlite_with_rowid=False,
)
"""Logged models that a run read (`kind` input) or made (output)."""

logged_model = Table(
    "ml_logged_model",
    Base.metadata,
    _id(),
    Column("uuid", String(34), nullable=False, unique=True),
    Column("experiment_id", _BIG, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("model_type", Text, nullable=False),
    Column("source_run", String(32), nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("status_message", Text, nullable=False),
    Column("artifact_uri", Text, nullable=False),
    Column("created", _BIG, nullable=False),
    Column("updated", _BIG, nullable=False),
    Column("deleted", Boolean, nullable=False),
)
logged_model_tag = _tags("ml_logged_model_tag", "model_id")
logged_model_param = _tags("ml_logged_model_param", "model_id")
logged_model_metric = Table(
    "ml_logged_model_metric",
    Base.metadata,
    Column("model_id", _BIG, primary_key=True),
    Column("key", String, primary_key=True),
    Column("dataset_name", String, primary_key=True),
    Column("dataset_digest", String, primary_key=True),
    Column("run_uuid", String(32), primary_key=True),
    Column("value", Float(53), nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column("timestamp", _BIG, nullable=False),
    Column("step", _BIG, nullable=False),
    sqlite_with_rowid=False,
)
"""The newest point of each metric that was logged for the model, by run and dataset ("" for none)."""

model = Table(
    "ml_model",
    Base.metadata,
    _id(),
    Column("project_id", _BIG, nullable=False),
    Column("name", String, nullable=False),
    Column("description", Text, nullable=False),
    Column("created", _BIG, nullable=False),
    Column("updated", _BIG, nullable=False),
    Column("last_version", Integer, nullable=False),
    UniqueConstraint("project_id", "name"),
)
model_tag = _tags("ml_model_tag", "model_id")
model_alias = Table(
    "ml_model_alias",
    Base.metadata,
    Column("model_id", _BIG, primary_key=True),
    Column("alias", String, primary_key=True),
    Column("version", Integer, nullable=False),
    sqlite_with_rowid=False,
)
model_version = Table(
    "ml_model_version",
    Base.metadata,
    _id(),
    Column("model_id", _BIG, nullable=False),
    Column("version", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("stage", String, nullable=False),
    Column("source", Text, nullable=False),
    Column("storage", Text, nullable=False),
    Column("run_uuid", Text, nullable=False),
    Column("run_link", Text, nullable=False),
    Column("logged_model", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("created", _BIG, nullable=False),
    Column("updated", _BIG, nullable=False),
    UniqueConstraint("model_id", "version"),
)
"""`storage`: where its files are, when `source` names them indirectly."""
model_version_tag = _tags("ml_model_version_tag", "version_id")

artifact = Table(
    "ml_artifact",
    Base.metadata,
    Column("path", String, primary_key=True),
    Column("folder", String, nullable=False, index=True),
    Column("size", _BIG, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("modified", _BIG, nullable=False),
)
"""Files by path; their bytes are in the blob store, once per content."""
