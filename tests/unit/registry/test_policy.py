"""Which tags a clean-up lets go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from riad.kernel.faults import Fault
from riad.registry.listings import TagInfo
from riad.registry.policy import Policy, Rules, check, expired, span

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def tags(*names: str) -> list[TagInfo]:
    """The first is the newest; each next one is ten days older."""
    return [TagInfo(name, "sha256:0", "", 1, NOW - timedelta(days=10 * age)) for age, name in enumerate(names)]


def gone(rules: Rules, *names: str, protected: tuple[str, ...] = ()) -> list[str]:
    return [tag.name for tag in expired(tags(*names), rules, now=NOW, protected=protected)]


def test_the_newest_stay_and_so_does_latest() -> None:
    assert gone(Rules(keep_n=2), "d", "c", "latest", "b", "a") == ["b", "a"]


def test_only_what_is_older_goes() -> None:
    assert gone(Rules(older_than="15d"), "d", "c", "b", "a") == ["b", "a"]


def test_patterns_are_for_the_whole_name_and_keeping_wins() -> None:
    assert gone(Rules(delete="dev-.*", keep="dev-9"), "dev-10", "dev-9", "xdev-1", "v1") == ["dev-10"]


def test_what_is_protected_does_not_even_count() -> None:
    assert gone(Rules(keep_n=1), "v2", "dev-2", "v1", "dev-1", protected=("v*",)) == ["dev-1"]


@pytest.mark.parametrize(("text", "days"), [("7d", 7), ("48h", 2), ("1month", 30), ("2w", 14), ("1y", 365)])
def test_spans_are_gitlabs(text: str, days: int) -> None:
    assert span(text) == timedelta(days=days)


@pytest.mark.parametrize(
    "wrong",
    [
        Policy(quota=-1),
        Policy(cadence="often"),
        Policy(rules=Rules(keep_n=-1)),
        Policy(rules=Rules(delete="(")),
        Policy(rules=Rules(keep="x" * 300)),
        Policy(rules=Rules(older_than="soon")),
        Policy(protected=("x" * 300,)),
    ],
)
def test_a_rule_that_is_none_is_refused(wrong: Policy) -> None:
    with pytest.raises(Fault):
        check(wrong)
