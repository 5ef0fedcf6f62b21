"""Searching registered models and their versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from riad.ml import models
from riad.ml.search import grammar, statement
from riad.ml.search.grammar import TEXT, Attribute, Condition, Subject
from riad.ml.search.statement import Keyed, Text
from riad.ml.sql import Sql, marks

PROMPT = "mlflow.prompt.is_prompt"
"""The tag of prompts, which are kept as models and listed apart from them."""
_MODEL_UPDATED = Attribute("m.updated", numeric=True)
_MODEL_CREATED = Attribute("m.created", numeric=True)
MODELS = Subject(
    attributes={
        "name": Attribute("m.name", lists=True),
        "creation_timestamp": _MODEL_CREATED,
        "last_updated_timestamp": _MODEL_UPDATED,
        "timestamp": _MODEL_UPDATED,
    },
    kinds={"tag": TEXT},
)
VERSIONS = Subject(
    attributes={
        "name": Attribute("m.name", lists=True),
        "version_number": Attribute("v.version", numeric=True),
        "run_id": Attribute("v.run_uuid", lists=True),
        "source_path": Attribute("v.source"),
        "creation_timestamp": Attribute("v.created", numeric=True),
        "last_updated_timestamp": Attribute("v.updated", numeric=True),
    },
    kinds={"tag": TEXT},
)
_MODEL_TABLES = {"tag": Keyed("ml_model_tag", "model_id", "m.id")}
_VERSION_TABLES = {"tag": Keyed("ml_model_version_tag", "version_id", "v.id")}


@dataclass(frozen=True, slots=True)
class Question:
    """`project_ids` None is everywhere."""

    project_ids: Sequence[int] | None
    filter: str = ""
    order_by: Sequence[str] = ()
    limit: int = 100
    offset: int = 0


def search_models(sql: Sql, question: Question) -> list[models.Model]:
    """By name unless the question orders otherwise; prompts only where it asks for them. Raises INVALID."""
    conditions = grammar.parse_filter(question.filter, MODELS)
    orders = [grammar.parse_order(text, MODELS) for text in question.order_by]
    ordered = statement.ordering(orders, MODELS, _MODEL_TABLES)
    pieces = _pieces(conditions, MODELS, _MODEL_TABLES["tag"], sqlite=sql.sqlite)
    pieces += _within(question)
    rows = sql.rows(
        f"SELECT m.id FROM ml_model m WHERE {' AND '.join(piece.sql for piece in pieces)} "
        f"ORDER BY {', '.join([*ordered.terms, 'm.name', 'm.id'])} LIMIT ? OFFSET ?",
        [*(value for piece in pieces for value in piece.values), question.limit, question.offset],
    )
    return models.whole(sql, [row[0] for row in rows])


def search_versions(sql: Sql, question: Question) -> list[models.Version]:
    """Last changed first unless the question orders otherwise. Raises INVALID."""
    conditions = grammar.parse_filter(question.filter, VERSIONS)
    orders = [grammar.parse_order(text, VERSIONS) for text in question.order_by]
    ordered = statement.ordering(orders, VERSIONS, _VERSION_TABLES)
    pieces = _pieces(conditions, VERSIONS, _VERSION_TABLES["tag"], sqlite=sql.sqlite)
    pieces += _within(question)
    if not orders:
        ordered.terms.append("v.updated DESC")
    rows = sql.rows(
        "SELECT v.id FROM ml_model_version v JOIN ml_model m ON m.id = v.model_id "
        f"WHERE {' AND '.join(piece.sql for piece in pieces)} "
        f"ORDER BY {', '.join([*ordered.terms, 'm.name', 'v.version DESC'])} LIMIT ? OFFSET ?",
        [*(value for piece in pieces for value in piece.values), question.limit, question.offset],
    )
    return models.versions(sql, [row[0] for row in rows])


def _within(question: Question) -> list[Text]:
    if question.project_ids is None:
        return [Text("1 = 1")]
    return [Text(f"m.project_id IN ({marks(question.project_ids)})", list(question.project_ids))]


def _pieces(conditions: Sequence[Condition], subject: Subject, tags: Keyed, *, sqlite: bool) -> list[Text]:
    asked = [each for each in conditions if each.kind == "tag" and each.key == PROMPT]
    others = [each for each in conditions if each not in asked]
    found = statement.where(others, subject, {"tag": tags}, sqlite=sqlite)
    wants_prompts = any((each.comparator == "=") == (str(each.value).lower() == "true") for each in asked)
    prompts = f"SELECT {tags.owner} FROM {tags.table} WHERE key = ? AND value = 'true'"
    return [*found, Text(f"{tags.of} {'IN' if wants_prompts else 'NOT IN'} ({prompts})", [PROMPT])]
