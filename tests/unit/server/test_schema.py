"""Migrations make exactly the tables that the code has, on both databases."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

import riad.server.tables  # noqa: F401 -- fills the metadata
from riad.kernel.db import Base, Database
from riad.kernel.faults import Fault
from riad.server import schema


@pytest.fixture
def empty(database: Database) -> Database:
    Base.metadata.drop_all(database.engine)
    return database


def test_an_upgraded_database_has_the_tables_of_the_code(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert found == []


def test_upgrading_again_changes_nothing(empty: Database) -> None:
    schema.upgrade(empty)
    schema.upgrade(empty)


def test_a_database_of_a_newer_riad_is_refused(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Fault, match="written by a newer Riad"):
        schema.upgrade(empty)
