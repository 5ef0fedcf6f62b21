"""Reading filters and orders: `metrics.x > 0.9 and params."a b" = '1'`, `attributes.start_time DESC`. Pure.

A filter is comparisons joined by AND. The left side is KIND.KEY (KIND left out means attribute); keys may be quoted by
backticks or double quotes. Which kinds, keys and comparators there are depends on what is searched (`Subject`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from riad.kernel.faults import Fault, invalid

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
      | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
      | (?P<operator>!=|<>|>=|<=|=|>|<)
      | (?P<punctuation>[(),.])
      | (?P<word>[^\s'"`=<>!(),.]+)
    )""",
    re.VERBOSE,
)
KINDS = {
    "metric": "metric", "metrics": "metric",
    "parameter": "param", "parameters": "param", "param": "param", "params": "param",
    "tag": "tag", "tags": "tag",
    "attribute": "attribute", "attributes": "attribute", "attr": "attribute", "run": "attribute",
    "dataset": "dataset", "datasets": "dataset",
}  # fmt: skip
COMPARISONS = frozenset({"=", "!=", ">", ">=", "<", "<="})
TEXT = frozenset({"=", "!=", "LIKE", "ILIKE"})
LISTS = frozenset({"IN", "NOT IN"})
PRESENCE = frozenset({"IS NULL", "IS NOT NULL"})


@dataclass(frozen=True, slots=True)
class Attribute:
    """`column`: the SQL for it. `names`: numbers are compared as numbers. `lists`: IN is allowed."""

    column: str
    numeric: bool = False
    lists: bool = False
    text: bool = True
    """LIKE is allowed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is searched: its attributes by name, and the comparators of each other kind (kinds that are absent do not
    exist for it)."""

    attributes: Mapping[str, Attribute]
    kinds: Mapping[str, frozenset[str]]
    orders: frozenset[str] | None = None
    """Attributes that it can be ordered by; None for all of them."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`value` is a text, a number, texts (for lists), or None (for presence)."""

    kind: str
    key: str
    comparator: str
    value: str | float | int | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Order:
    kind: str
    key: str
    ascending: bool


@dataclass(frozen=True, slots=True)
class _Token:
    what: str
    text: str

    @property
    def word(self) -> str:
        return self.text.upper() if self.what == "word" else ""

    @property
    def bare(self) -> str:
        return self.text[1:-1].replace("''", "'") if self.what in ("string", "quoted") else self.text


def parse_filter(text: str, subject: Subject) -> list[Condition]:
    """Raises INVALID that quotes what is not understood."""
    reader = _Reader(_tokens(text), text)
    if not reader.left:
        return []
    found = [_condition(reader, subject)]
    while reader.left:
        joint = reader.take()
        if joint.word != "AND":
            raise invalid(f"Invalid clause(s) in filter string: '{joint.text}'. Comparisons are joined by AND only.")
        found.append(_condition(reader, subject))
    return found


def parse_order(text: str, subject: Subject) -> Order:
    """`KIND.KEY [ASC|DESC]`; ascending unless it says otherwise. Raises INVALID."""
    reader = _Reader(_tokens(text), text)
    kind, key = _left(reader, subject, ordering=True)
    ascending = True
    if reader.left:
        direction = reader.take()
        if direction.word not in ("ASC", "DESC") or reader.left:
            raise invalid(f"Invalid order_by clause '{text}'. Expected a column, and ASC or DESC after it.")
        ascending = direction.word == "ASC"
    return Order(kind, key, ascending)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise invalid(f"Invalid clause(s) in filter string: cannot read {text[at:].strip()[:40]!r}")
        found.append(_Token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class _Reader:
    def __init__(self, tokens: list[_Token], whole: str) -> None:
        self.left = tokens[::-1]
        self._whole = whole

    def take(self) -> _Token:
        if not self.left:
            raise self.error("it ends too early")
        return self.left.pop()

    def peek(self) -> _Token | None:
        return self.left[-1] if self.left else None

    def error(self, reason: str) -> Fault:
        return invalid(f"Invalid clause in filter string '{self._whole}': {reason}")


def _condition(reader: _Reader, subject: Subject) -> Condition:
    kind, key = _left(reader, subject)
    comparator = _comparator(reader)
    attribute = subject.attributes.get(key) if kind == "attribute" else None
    _check_comparator(kind, key, comparator, attribute, subject)
    if comparator in PRESENCE:
        return Condition(kind, key, comparator, None)
    if comparator in LISTS:
        return Condition(kind, key, comparator, _list(reader))
    return Condition(kind, key, comparator, _value(reader, kind, key, attribute))


def _left(reader: _Reader, subject: Subject, *, ordering: bool = False) -> tuple[str, str]:
    first = reader.take()
    if first.what not in ("word", "quoted"):
        raise reader.error(f"expected a column such as metrics.accuracy, found {first.text!r}")
    kind, key = "attribute", first.bare
    after = reader.peek()
    if after is not None and after.text.startswith("."):
        kind = KINDS.get(first.bare, "")
        if not kind or (kind not in subject.kinds and kind != "attribute"):
            known = sorted({name for name, each in KINDS.items() if each in subject.kinds or each == "attribute"})
            raise invalid(f"Invalid entity type '{first.bare}'. Valid entity types are {known}")
        key = _dotted(reader)
    if kind == "attribute":
        known_keys = subject.orders if ordering and subject.orders is not None else subject.attributes.keys()
        if key not in known_keys:
            raise invalid(f"Invalid attribute key '{key}' specified. Valid keys are {sorted(known_keys)}")
    elif kind == "dataset" and key not in ("name", "digest", "context"):
        raise invalid(f"Invalid dataset key '{key}' specified. Valid keys are ['context', 'digest', 'name']")
    return kind, key


def _dotted(reader: _Reader) -> str:
    """A key after its dot: one quoted word, or words and numbers with dots between (`.5` is read as a number)."""
    key = ""
    while (after := reader.peek()) is not None and after.text.startswith("."):
        key += reader.take().text
        if not key.endswith("."):
            continue
        part = reader.take()
        if part.what == "quoted" and key == ".":
            return part.bare
        if part.what not in ("word", "number"):
            raise reader.error(f"expected a key, found {part.text!r}")
        key += part.text
    return key[1:]


def _comparator(reader: _Reader) -> str:
    token = reader.take()
    if token.what == "operator":
        return "!=" if token.text == "<>" else token.text
    word = token.word
    if word == "IS":
        following = reader.take().word
        if following == "NOT":
            following = f"NOT {reader.take().word}"
        word = f"IS {following}"
    elif word == "NOT":
        word = f"NOT {reader.take().word}"
    if word in TEXT | LISTS | PRESENCE:
        return word
    raise reader.error(f"expected a comparison, found {token.text!r}")


def _check_comparator(kind: str, key: str, comparator: str, attribute: Attribute | None, subject: Subject) -> None:
    if attribute is None:
        allowed = subject.kinds[kind]
    elif attribute.numeric:
        allowed = COMPARISONS
    else:
        allowed = (TEXT if attribute.text else frozenset({"=", "!="})) | (LISTS if attribute.lists else frozenset())
    if comparator not in allowed:
        raise invalid(f"Invalid comparator '{comparator}' for {kind} '{key}': use one of {sorted(allowed)}")


def _value(reader: _Reader, kind: str, key: str, attribute: Attribute | None) -> str | float | int:
    token = reader.take()
    if kind == "metric" or (attribute is not None and attribute.numeric):
        if token.what != "number":
            raise invalid(f"Expected numeric value type for {kind} '{key}'. Found {token.text}")
        return float(token.text) if kind == "metric" or not token.text.lstrip("+-").isdigit() else int(token.text)
    if token.what not in ("string", "quoted"):
        raise invalid(f"Expected a quoted string value for {kind} '{key}' (e.g. 'my-value'). Got value {token.text}")
    return token.bare


def _list(reader: _Reader) -> tuple[str, ...]:
    if reader.take().text != "(":
        raise reader.error("expected a list such as ('a', 'b')")
    found = []
    while True:
        token = reader.take()
        if token.what not in ("string", "quoted"):
            raise invalid(f"Expected a quoted string value in the list. Got value {token.text}")
        found.append(token.bare)
        end = reader.take().text
        if end == ")":
            return tuple(found)
        if end != ",":
            raise reader.error("expected , or ) in a list")
