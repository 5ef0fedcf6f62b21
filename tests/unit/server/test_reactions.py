"""What happens because of what happened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from riad.deploy import environments
from riad.forge.repositories import Repositories
from riad.kernel.clock import FixedClock
from riad.kernel.db import Database
from riad.kernel.outbox import Event
from riad.pipelines.advance import JOB_FINISHED
from riad.server.reactions import Reactions

CLOCK = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("action", "status", "stopped"),
    [("stop", "success", True), ("stop", "failed", False), ("start", "success", False), (None, "success", False)],
)
def test_a_job_that_stops_its_environment_takes_it_and_no_other_out_of_service(
    tmp_path: Path, database: Database, action: str | None, status: str, stopped: bool
) -> None:
    with database.write() as session:
        for name in ("review/a", "production"):
            environments.ensure(session, project_id=1, project_path="demo/shop", name=name, clock=CLOCK)
    looked: list[bool] = []
    nobody: Any = None
    reactions = Reactions(
        database,
        CLOCK,
        nobody,
        Repositories(tmp_path),
        nobody,
        look_after=lambda: looked.append(True),
    )
    payload = {"project_id": 1, "status": status, "environment": "review/a", "environment_action": action}
    for reaction in reactions.table()[JOB_FINISHED]:
        reaction(Event(1, JOB_FINISHED, payload, CLOCK.now()))
    with database.read() as session:
        states = {each.name: each.state.value for each in environments.of_project(session, 1)}
    assert states == {"review/a": "stopped" if stopped else "available", "production": "available"}
    assert looked == [True] * stopped
