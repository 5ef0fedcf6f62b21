from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from riad.kernel.db import Base, Database
from riad.kernel.outbox import EventRow

MOMENT = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'riad.db'}"


def test_moments_come_back_in_utc(file: str) -> None:
    database = Database(file)
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        session.add(EventRow(kind="x", payload={}, created_at=MOMENT))
    with database.read() as session:
        kept = session.scalars(select(EventRow)).one()
    assert kept.created_at == MOMENT
    assert kept.created_at.tzinfo is UTC
    database.close()


def test_a_write_that_raises_changes_nothing(file: str) -> None:
    database = Database(file)
    Base.metadata.create_all(database.engine)
    with pytest.raises(RuntimeError), database.write() as session:
        session.add(EventRow(kind="x", payload={}, created_at=MOMENT))
        session.flush()
        raise RuntimeError
    with database.read() as session:
        assert session.scalar(select(func.count(EventRow.id))) == 0
    database.close()


def test_writers_that_read_first_wait_for_each_other(file: str) -> None:
    """Two threads each read a counter and write it back, 50 times: with a late BEGIN, SQLite fails one of them."""
    database = Database(file)
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        session.add(EventRow(kind="x", payload={}, created_at=MOMENT))
    errors: list[Exception] = []

    def count() -> None:
        for _ in range(50):
            try:
                with database.write() as session:
                    seen = session.scalars(select(EventRow)).one().attempts
                    session.execute(update(EventRow).values(attempts=seen + 1))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.scalars(select(EventRow)).one().attempts == 100
    assert errors == []
    database.close()
