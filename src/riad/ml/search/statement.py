"""Conditions and orders as SQL. Every value is a parameter; every name comes from the `Subject` or is a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from riad.ml.search.grammar import Condition, Order, Subject
from riad.ml.sql import marks

_PLAIN = {"=": "=", "!=": "<>", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


@dataclass(frozen=True, slots=True)
class Keyed:
    """A table of keys and values that belong to what is searched: `owner` is its column, `of` what it equals."""

    table: str
    owner: str
    of: str


@dataclass(slots=True)
class Text:
    """A piece of SQL and its values."""

    sql: str
    values: list[Any] = field(default_factory=list)


def comparison(column: str, condition: Condition, *, sqlite: bool) -> Text:
    """`column` compared as the condition says."""
    value = condition.value
    match condition.comparator:
        case "IN" | "NOT IN":
            assert isinstance(value, tuple)
            return Text(f"{column} {condition.comparator} ({marks(value)})", list(value))
        case "LIKE":
            # SQLite's LIKE does not tell cases apart, its GLOB does.
            if sqlite:
                return Text(f"{column} GLOB ?", [_glob(str(value))])
            return Text(f"{column} LIKE ? ESCAPE ''", [value])
        case "ILIKE":
            escape = "" if sqlite else " ESCAPE ''"  # PostgreSQL's backslash is an ordinary letter here
            return Text(f"lower({column}) LIKE lower(?){escape}", [value])
        case plain:
            return Text(f"{column} {_PLAIN[plain]} ?", [value])


def _glob(pattern: str) -> str:
    special = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(special.get(letter, letter) for letter in pattern)


def json_text(column: str, key: str, *, sqlite: bool) -> str:
    """The text at a key of the JSON object in a column; `key` is one of our own."""
    return f"json_extract({column}, '$.\"{key}\"')" if sqlite else f"({column}::json ->> '{key}')"


def where(
    conditions: Sequence[Condition], subject: Subject, tables: Mapping[str, Keyed], *, sqlite: bool
) -> list[Text]:
    """One piece for each condition, to be joined by AND; kinds that are no table have been taken out."""
    return [_piece(condition, subject, tables, sqlite=sqlite) for condition in conditions]


def _piece(condition: Condition, subject: Subject, tables: Mapping[str, Keyed], *, sqlite: bool) -> Text:
    if condition.kind == "attribute":
        return comparison(subject.attributes[condition.key].column, condition, sqlite=sqlite)
    keyed = tables[condition.kind]
    among = f"SELECT {keyed.owner} FROM {keyed.table} WHERE key = ?"
    if condition.comparator == "IS NULL":
        return Text(f"{keyed.of} NOT IN ({among})", [condition.key])
    if condition.comparator == "IS NOT NULL":
        return Text(f"{keyed.of} IN ({among})", [condition.key])
    compared = comparison("value", condition, sqlite=sqlite)
    number = " AND NOT is_nan" if condition.kind == "metric" else ""
    return Text(f"{keyed.of} IN ({among}{number} AND {compared.sql})", [condition.key, *compared.values])


@dataclass(slots=True)
class Ordering:
    """`joins` come after FROM, with `values`; `terms` make ORDER BY."""

    joins: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)


def ordering(orders: Sequence[Order], subject: Subject, tables: Mapping[str, Keyed]) -> Ordering:
    """Those that lack what is ordered by come last, NaN just before them, in either direction."""
    found = Ordering()
    for number, order in enumerate(orders):
        direction = "" if order.ascending else " DESC"
        if order.kind == "attribute":
            column = subject.attributes[order.key].column
            found.terms += [f"CASE WHEN {column} IS NULL THEN 1 ELSE 0 END", f"{column}{direction}"]
            continue
        keyed, alias = tables[order.kind], f"o{number}"
        found.joins.append(f"LEFT JOIN {keyed.table} {alias} ON {alias}.{keyed.owner} = {keyed.of} AND {alias}.key = ?")
        found.values.append(order.key)
        absent = f"CASE WHEN {alias}.value IS NULL THEN 2 ELSE 0 END"
        if order.kind == "metric":
            absent = f"CASE WHEN {alias}.value IS NULL THEN 2 WHEN {alias}.is_nan THEN 1 ELSE 0 END"
        found.terms += [absent, f"{alias}.value{direction}"]
    return found
