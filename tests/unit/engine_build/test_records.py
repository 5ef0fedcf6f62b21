"""Which records of the build cache a prune takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from riad.engine.build.records import MOUNT, STEP, PruneWish, Record, chosen

_NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _record(key: str, *, age: int, **changes: object) -> Record:
    used = _NOW - timedelta(hours=age)
    plain = Record(key, STEP, "RUN x", 100, in_use=False, shared=False, created=used, used_at=used, uses=1)
    return replace(plain, **changes)  # type: ignore[arg-type]


_FOUND = [
    _record("young", age=1),
    _record("old", age=30),
    _record("image", age=20, shared=True),
    _record("busy", age=40, in_use=True),
    _record("mount", age=10, kind=MOUNT, description="cached mount"),
]


@pytest.mark.parametrize(
    ("wish", "keys"),
    [
        (PruneWish(), ["old", "mount", "young"]),
        (PruneWish(everything=True), ["old", "image", "mount", "young"]),
        (PruneWish(unused_since=_NOW - timedelta(hours=24)), ["old"]),
        (PruneWish(kind=MOUNT), ["mount"]),
        (PruneWish(description="cached mount"), ["mount"]),
        (PruneWish(id="^yo"), ["young"]),
        (PruneWish(everything=True, shared=True), ["image"]),
        (PruneWish(shared=True), []),
        (PruneWish(in_use=True), []),
        (PruneWish(nothing=True, everything=True), []),
        (PruneWish(everything=True, keep=300), ["old", "image"]),
        (PruneWish(everything=True, keep=500), []),
    ],
)
def test_what_is_not_in_use_goes_by_every_filter_the_longest_unused_first(wish: PruneWish, keys: list[str]) -> None:
    assert [record.key for record in chosen(_FOUND, wish)] == keys


def test_an_id_is_the_beginning_of_the_key() -> None:
    assert _record("a" * 64, age=1).id == "a" * 25
