from datetime import UTC, datetime, timedelta

import pytest

from riad.web import words

NOW = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "just now"),
        (45, "45 seconds ago"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (7200, "2 hours ago"),
        (86400 * 3, "3 days ago"),
        (86400 * 20, "2 weeks ago"),
        (86400 * 400, "1 year ago"),
        (-7200, "in 2 hours"),
    ],
)
def test_a_moment_is_told_by_its_largest_part(seconds: int, text: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "0 s"),
        (0.031, "31 ms"),
        (9.4, "9.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (73, "1 min 13 s"),
        (3725, "1 h 02 min"),
    ],
)
def test_a_duration_says_what_matters(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (999_600, "1.00 MB"),
        (5_120_000_000, "5.12 GB"),
    ],
)
def test_a_size_has_three_figures(count: int, text: str) -> None:
    assert words.size(count) == text
