"""Roll-outs and roll-backs under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.loop.house import House
from integration.loop.traffic import Traffic

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_no_request_is_lost_in_five_roll_outs_and_two_roll_backs(house: House, tmp_path: Path) -> None:
    project = "load/steady"
    repository = house.new_project(tmp_path / "work", project)
    house.succeeds(project, repository.push_text("version 1"))
    with Traffic(house.port, "steady", 50) as traffic:
        for number in range(2, 7):
            house.succeeds(project, repository.push_text(f"version {number}"))
        house.riad("rollback", project)
        house.riad("rollback", project, "2")
    assert traffic.failures == []
    assert sorted(traffic.seen) == [f"version {number}" for number in range(1, 7)]
    assert traffic.sent >= 50 * 5
    assert house.ask("steady") == (200, "version 2\n")
