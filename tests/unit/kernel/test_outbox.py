from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from riad.kernel import outbox
from riad.kernel.clock import FixedClock
from riad.kernel.db import Base, Database
from riad.kernel.faults import conflict

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('db') / 'riad.db'}")
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


def emit(database: Database, kind: str, **payload: object) -> None:
    with database.write() as session:
        outbox.emit(session, kind, payload, clock=CLOCK)


def test_each_event_reaches_its_reactions_once_and_in_order(database: Database) -> None:
    emit(database, "a.happened", number=1)
    emit(database, "b.happened")
    emit(database, "a.happened", number=2)
    seen: list[object] = []
    reactions = {"a.happened": [lambda event: seen.append(event.payload["number"])]}
    assert outbox.deliver(database, reactions, clock=CLOCK) == 3
    assert outbox.deliver(database, reactions, clock=CLOCK) == 0
    assert seen == [1, 2]


def test_an_event_of_a_transaction_that_was_rolled_back_never_happened(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        outbox.emit(session, "a.happened", {}, clock=CLOCK)
        raise RuntimeError
    assert outbox.deliver(database, {}, clock=CLOCK) == 0


def test_a_failing_reaction_is_tried_again_and_does_not_hold_up_later_events(database: Database) -> None:
    emit(database, "a.happened")
    emit(database, "b.happened")
    outcomes: list[str] = []

    def fails_once(_: outbox.Event) -> None:
        outcomes.append("a")
        if outcomes.count("a") == 1:
            raise conflict("not yet")

    reactions = {"a.happened": [fails_once], "b.happened": [lambda _: outcomes.append("b")]}
    outbox.deliver(database, reactions, clock=CLOCK)
    outbox.deliver(database, reactions, clock=CLOCK)
    assert outcomes == ["a", "b"]
    CLOCK.advance(timedelta(seconds=2))
    outbox.deliver(database, reactions, clock=CLOCK)
    outbox.deliver(database, reactions, clock=CLOCK)
    assert outcomes == ["a", "b", "a"]


def test_an_event_whose_reaction_always_fails_is_given_up_after_some_attempts(database: Database) -> None:
    emit(database, "a.happened")

    def fails(_: outbox.Event) -> None:
        raise RuntimeError("broken")

    attempts: list[datetime] = []
    begun = CLOCK.now()
    while CLOCK.now() < begun + timedelta(hours=2):
        if outbox.deliver(database, {"a.happened": [fails]}, clock=CLOCK):
            attempts.append(CLOCK.now())
        CLOCK.advance(timedelta(seconds=1))
    assert [(at - begun).total_seconds() for at in attempts[:4]] == [0, 2, 4, 8]
    assert len(attempts) == outbox.MAX_ATTEMPTS
    assert attempts[-1] - begun > timedelta(minutes=30)


def test_what_was_delivered_long_ago_is_forgotten_but_no_number_is_given_again(database: Database) -> None:
    seen: list[int] = []
    for _ in range(3):
        emit(database, "a.happened")
    outbox.deliver(database, {"a.happened": [lambda event: seen.append(event.id)]}, clock=CLOCK)
    outbox.prune(database, clock=CLOCK)
    assert left(database) == seen
    CLOCK.advance(outbox.KEPT + timedelta(seconds=1))
    outbox.prune(database, clock=CLOCK)
    assert left(database) == seen[-1:]
    emit(database, "a.happened")
    assert left(database)[-1] == seen[-1] + 1


def left(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(outbox.EventRow.id).order_by(outbox.EventRow.id)))
