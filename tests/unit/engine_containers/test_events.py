"""Events: dockerd's filters, and a memory that a new daemon has again."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riad.engine.dockerapi.event_filters import KNOWN, matches
from riad.engine.dockerapi.events import event_shape
from riad.engine.dockerapi.filters import parse_filters
from riad.engine.events import Event, Events
from riad.engine.state import State
from riad.kernel.clock import FixedClock

_AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
_DIED = Event("container", "die", "abc123", {"name": "web", "image": "debian:12", "team": "blue", "exitCode": "3"}, _AT)


@pytest.mark.parametrize(
    ("filters", "held"),
    [
        ({}, True),
        ({"container": ["web"]}, True),
        ({"container": ["abc"]}, True),
        ({"container": ["w"]}, True),
        ({"container": ["other", "web"]}, True),
        ({"container": ["other"]}, False),
        ({"container": ["web"], "type": ["network"]}, False),
        ({"container": ["web"], "network": ["bridge"]}, False),
        ({"type": ["image", "container"]}, True),
        ({"event": ["die"]}, True),
        ({"event": ["di"]}, False),
        ({"label": ["team"]}, True),
        ({"label": ["team=blue"]}, True),
        ({"label": ["team=red"]}, False),
        ({"image": ["debian:12"]}, True),
        ({"image": ["debian"]}, True),
        ({"image": ["deb"]}, False),
        ({"scope": ["local"]}, True),
        ({"scope": ["swarm"]}, False),
        ({"daemon": ["x"]}, False),
    ],
)
def test_all_filters_hold_and_each_by_one_of_its_values(filters: dict[str, list[str]], *, held: bool) -> None:
    assert matches(_DIED, parse_filters(json.dumps(filters), known=KNOWN)) is held


def test_actions_with_a_detail_may_be_asked_for_without_it() -> None:
    probe = Event("container", "health_status: healthy", "a", {}, _AT)
    assert matches(probe, parse_filters('{"event": {"health_status": true}}', known=KNOWN))
    assert matches(probe, parse_filters('{"event": {"health_status: healthy": true}}', known=KNOWN))
    assert not matches(probe, parse_filters('{"event": {"health_status: unhealthy": true}}', known=KNOWN))
    assert not matches(probe, parse_filters('{"event": {"health": true}}', known=KNOWN))


def test_an_event_has_the_fields_of_old_clients_too() -> None:
    shape = event_shape(_DIED)
    assert (shape["status"], shape["id"], shape["from"]) == ("die", "abc123", "debian:12")
    assert (shape["Type"], shape["Action"], shape["scope"]) == ("container", "die", "local")
    assert shape["timeNano"] == shape["time"] * 10**9 + 678_000_000
    assert "status" not in event_shape(Event("network", "create", "n", {}, _AT))


def test_what_happened_is_known_to_the_next_daemon_up_to_a_bound(tmp_path: Path) -> None:
    clock = FixedClock(_AT)

    async def live(count: int) -> list[Event]:
        state = State(tmp_path)
        events = Events(clock, state)
        remembered = events.past()
        for number in range(count):
            clock.advance(timedelta(seconds=1))
            events.publish("volume", "create", f"v{number}", {"driver": "local"})
        events.write()
        state.close()
        return remembered

    assert asyncio.run(live(1500)) == []
    remembered = asyncio.run(live(0))
    assert len(remembered) == 1024
    assert (remembered[-1].subject, remembered[-1].attributes) == ("v1499", {"driver": "local"})
    assert remembered[0].at < remembered[-1].at
