"""Searching experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from riad.ml import experiments
from riad.ml.runs import CONTEXT_TAG
from riad.ml.search import grammar, statement
from riad.ml.search.grammar import PRESENCE, TEXT, Attribute, Condition, Subject
from riad.ml.search.statement import Keyed, Text
from riad.ml.sql import Row, Sql, marks

SUBJECT = Subject(
    attributes={
        "name": Attribute("e.name"),
        "experiment_id": Attribute("CAST(e.id AS TEXT)", lists=True, text=False),
        "creation_time": Attribute("e.created", numeric=True),
        "last_update_time": Attribute("e.updated", numeric=True),
    },
    kinds={"tag": TEXT | PRESENCE},
)
_TABLES = {"tag": Keyed("ml_experiment_tag", "experiment_id", "e.id")}


@dataclass(frozen=True, slots=True)
class Question:
    """`project_ids` None is everywhere; `deleted` None takes both."""

    project_ids: Sequence[int] | None
    filter: str = ""
    order_by: Sequence[str] = ()
    deleted: bool | None = False
    limit: int = 1000
    offset: int = 0


def search(sql: Sql, question: Question) -> list[experiments.Experiment]:
    """Newest first unless the question orders otherwise. Raises INVALID."""
    conditions: list[Condition] = grammar.parse_filter(question.filter, SUBJECT)
    orders = [grammar.parse_order(text, SUBJECT) for text in question.order_by]
    ordered = statement.ordering(orders, SUBJECT, _TABLES)
    pieces = statement.where(conditions, SUBJECT, _TABLES, sqlite=sql.sqlite)
    if question.project_ids is not None:
        pieces.append(Text(f"e.project_id IN ({marks(question.project_ids)})", list(question.project_ids)))
    if question.deleted is not None:
        pieces.append(Text("e.deleted = ?", [question.deleted]))
    if not orders:
        ordered.terms.append("e.created DESC")
    rows = sql.rows(
        f"SELECT e.id FROM ml_experiment e {' '.join(ordered.joins)} "
        f"WHERE {' AND '.join(['1 = 1', *(piece.sql for piece in pieces)])} "
        f"ORDER BY {', '.join([*ordered.terms, 'e.id DESC'])} LIMIT ? OFFSET ?",
        [*ordered.values, *(value for piece in pieces for value in piece.values), question.limit, question.offset],
    )
    return experiments.several(sql, [row[0] for row in rows])


def datasets(sql: Sql, experiment_ids: Sequence[int]) -> list[Row]:
    """(experiment's id, name, digest, what for or None) of what these experiments' runs read; a thousand at most."""
    context = statement.json_text("i.tags", CONTEXT_TAG, sqlite=sql.sqlite)
    return sql.rows(
        f"SELECT DISTINCT d.experiment_id, d.name, d.digest, {context} FROM ml_dataset d "
        f"JOIN ml_run_dataset i ON i.dataset_id = d.id WHERE d.experiment_id IN ({marks(experiment_ids)}) "
        "ORDER BY d.name, d.digest LIMIT 1000",
        experiment_ids,
    )
