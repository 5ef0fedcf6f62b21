from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riad.kernel.faults import Fault, Kind
from riad.ml.search import runs
from riad.ml.search.grammar import Condition, Order, parse_filter, parse_order


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.loss > 0.5", [Condition("metric", "loss", ">", 0.5)]),
        ("metric.loss<=-1e-3", [Condition("metric", "loss", "<=", -0.001)]),
        ("params.a = '1'", [Condition("param", "a", "=", "1")]),
        ('params."a b" != "x"', [Condition("param", "a b", "!=", "x")]),
        ("parameters.`a b` like '%x_'", [Condition("param", "a b", "LIKE", "%x_")]),
        ("tags.mlflow.runName ILIKE '%X%'", [Condition("tag", "mlflow.runName", "ILIKE", "%X%")]),
        ("tags.`a.b/c` = 'it''s'", [Condition("tag", "a.b/c", "=", "it's")]),
        ("tag.x IS NULL", [Condition("tag", "x", "IS NULL", None)]),
        ("params.x is not null", [Condition("param", "x", "IS NOT NULL", None)]),
        ("attributes.status = 'FINISHED'", [Condition("attribute", "status", "=", "FINISHED")]),
        ("status = 'FINISHED'", [Condition("attribute", "status", "=", "FINISHED")]),
        ("attr.start_time >= 1664067852747", [Condition("attribute", "start_time", ">=", 1664067852747)]),
        ("run_id IN ('a', 'b')", [Condition("attribute", "run_id", "IN", ("a", "b"))]),
        ("attribute.run_id not in ('a')", [Condition("attribute", "run_id", "NOT IN", ("a",))]),
        ("`run name` = 'x'", [Condition("attribute", "run name", "=", "x")]),
        ("datasets.name = 'iris'", [Condition("dataset", "name", "=", "iris")]),
        ("dataset.context IN ('train')", [Condition("dataset", "context", "IN", ("train",))]),
        ("metrics.val-loss < 1", [Condition("metric", "val-loss", "<", 1.0)]),
        ("metrics.top5.acc < 1", [Condition("metric", "top5.acc", "<", 1.0)]),
        ("metrics.5 < 1", [Condition("metric", "5", "<", 1.0)]),
        ("  ", []),
        (
            "metrics.a > 0 and params.b = 'x' AND tags.c <> 'y'",
            [
                Condition("metric", "a", ">", 0.0),
                Condition("param", "b", "=", "x"),
                Condition("tag", "c", "!=", "y"),
            ],
        ),
    ],
)
def test_filters_are_read(text: str, expected: list[Condition]) -> None:
    assert parse_filter(text, runs.SUBJECT) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("metrics.a > 0 OR metrics.b > 0", "'OR'"),
        ("metrics.a > 'x'", "numeric value"),
        ("params.a = 1", "quoted string"),
        ("params.a > '1'", "Invalid comparator '>'"),
        ("metrics.a LIKE 'x'", "Invalid comparator 'LIKE'"),
        ("metrics.a IS NULL", "Invalid comparator 'IS NULL'"),
        ("status IN ('a')", "Invalid comparator 'IN'"),
        ("nothing.a = 'x'", "Invalid entity type 'nothing'"),
        ("attributes.nothing = 'x'", "Invalid attribute key 'nothing'"),
        ("dataset.source = 'x'", "Invalid dataset key 'source'"),
        ("metrics.a >", "ends too early"),
        ("metrics.a", "ends too early"),
        ("run_id IN ()", "quoted string"),
        ("run_id IN ('a'", "ends too early"),
        ("params.a = 'x", "cannot read"),
        ("= 'x'", "expected a column"),
        ("params.a ~ 'x'", "expected a comparison"),
    ],
)
def test_what_is_not_understood_is_quoted(text: str, complaint: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_filter(text, runs.SUBJECT)
    assert caught.value.kind is Kind.INVALID
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.loss", Order("metric", "loss", True)),
        ("metrics.`val loss` DESC", Order("metric", "val loss", False)),
        ("start_time desc", Order("attribute", "start_time", False)),
        ("tag.x ASC", Order("tag", "x", True)),
    ],
)
def test_orders_are_read(text: str, expected: Order) -> None:
    assert parse_order(text, runs.SUBJECT) == expected


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Fault):
        parse_filter(text, runs.SUBJECT)
