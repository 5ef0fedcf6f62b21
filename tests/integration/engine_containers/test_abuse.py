"""20 clients at 200 containers while the daemon is killed: nothing leaks, nothing is stuck.

RIAD_LONG=1: five minutes and twenty kills; its figures are printed (-s).
"""

from __future__ import annotations

import os

import pytest

from abuse import abuse
from engine_fixture import running_engine

pytestmark = [pytest.mark.root, pytest.mark.slow]
LONG = bool(os.environ.get("RIAD_LONG"))


def test_nothing_leaks_and_nothing_is_stuck_when_many_work_on_an_engine_that_dies() -> None:
    with running_engine() as engine:
        seconds, kills = (300.0, 20) if LONG else (25.0, 4)
        course = abuse(engine, number=20, names=200, seconds=seconds, kills=kills)
        print(f"{course.kills} kills, {sum(course.requests.values())} requests {dict(course.requests)}")
        print(f"slowest start {course.slowest_start:.2f} s, {len(course.odd)} odd answers: {course.odd[:20]}")
        assert course.kills == kills
        assert not course.odd
        assert "request failed" not in engine.log()
