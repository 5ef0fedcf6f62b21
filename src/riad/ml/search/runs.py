"""Searching runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from riad.kernel.faults import invalid
from riad.ml import runs
from riad.ml.runs import CONTEXT_TAG
from riad.ml.search import grammar, statement
from riad.ml.search.grammar import COMPARISONS, LISTS, PRESENCE, TEXT, Attribute, Condition, Subject
from riad.ml.search.statement import Keyed, Text
from riad.ml.sql import Sql, marks

_STARTED = Attribute("r.started", numeric=True)
_NAME = Attribute("r.name", lists=True)
SUBJECT = Subject(
    attributes={
        "run_id": Attribute("r.uuid", lists=True),
        "run_name": _NAME,
        "run name": _NAME,
        "Run name": _NAME,
        "Run Name": _NAME,
        "status": Attribute("r.status"),
        "user_id": Attribute("r.user_id"),
        "artifact_uri": Attribute("r.artifact_uri"),
        "start_time": _STARTED,
        "created": _STARTED,
        "Created": _STARTED,
        "end_time": Attribute("r.ended", numeric=True),
    },
    kinds={"metric": COMPARISONS, "param": TEXT | PRESENCE, "tag": TEXT | PRESENCE, "dataset": TEXT | LISTS},
)
_TABLES = {
    "metric": Keyed("ml_latest", "run_id", "r.id"),
    "param": Keyed("ml_param", "run_id", "r.id"),
    "tag": Keyed("ml_tag", "run_id", "r.id"),
}


@dataclass(frozen=True, slots=True)
class Question:
    """`deleted` None takes both; `offset` counts from the first of the whole answer."""

    experiment_ids: Sequence[int]
    filter: str = ""
    order_by: Sequence[str] = ()
    deleted: bool | None = False
    limit: int = 1000
    offset: int = 0


def search(sql: Sql, question: Question) -> list[runs.Run]:
    """Newest first unless the question orders otherwise. Raises INVALID."""
    if not question.experiment_ids:
        return []
    conditions = grammar.parse_filter(question.filter, SUBJECT)
    orders = [grammar.parse_order(text, SUBJECT) for text in question.order_by]
    if len({(order.kind, order.key) for order in orders}) < len(orders):
        raise invalid(f"`order_by` contains duplicate fields: {list(question.order_by)}")
    ordered = statement.ordering(orders, SUBJECT, _TABLES)
    pieces = [Text(f"r.experiment_id IN ({marks(question.experiment_ids)})", list(question.experiment_ids))]
    if question.deleted is not None:
        pieces.append(Text("r.deleted = ?", [question.deleted]))
    simple = [condition for condition in conditions if condition.kind != "dataset"]
    pieces += statement.where(simple, SUBJECT, _TABLES, sqlite=sql.sqlite)
    pieces += [_dataset(condition, sqlite=sql.sqlite) for condition in conditions if condition.kind == "dataset"]
    if not any(SUBJECT.attributes.get(order.key) is _STARTED for order in orders if order.kind == "attribute"):
        ordered.terms.append("r.started DESC")
    rows = sql.rows(
        f"SELECT {runs.COLUMNS} FROM ml_run r {' '.join(ordered.joins)} "
        f"WHERE {' AND '.join(piece.sql for piece in pieces)} ORDER BY {', '.join([*ordered.terms, 'r.uuid'])} "
        "LIMIT ? OFFSET ?",
        [*ordered.values, *(value for piece in pieces for value in piece.values), question.limit, question.offset],
    )
    return [runs.of_row(row) for row in rows]


def _dataset(condition: Condition, *, sqlite: bool) -> Text:
    column = (
        statement.json_text("i.tags", CONTEXT_TAG, sqlite=sqlite)
        if condition.key == "context"
        else f"d.{condition.key}"
    )
    compared = statement.comparison(column, condition, sqlite=sqlite)
    return Text(
        "r.id IN (SELECT i.run_id FROM ml_run_dataset i JOIN ml_dataset d ON d.id = i.dataset_id "
        f"WHERE {compared.sql})",
        compared.values,
    )
