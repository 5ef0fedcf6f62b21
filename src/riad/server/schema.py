"""The database's schema: brought to the newest version when the server starts, by Alembic.

The newest version is known by the file names in `migrations/versions` (NNNN_what.py), so that a start whose database
is up to date does not even import Alembic.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text

from riad.kernel import logs
from riad.kernel.db import Database
from riad.kernel.faults import conflict

log = logs.named("server")

MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """The version that this code works with: four digits."""
    return max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def upgrade(database: Database) -> None:
    """Raises CONFLICT where the database was written by a newer Riad."""
    present = _present(database)
    wanted = newest()
    if present == wanted:
        return
    if present is not None and present > wanted:
        raise conflict(
            f"the database is at version {present}, this Riad knows {wanted}: it was written by a newer Riad; "
            "run that one, or restore a backup from before its upgrade"
        )
    from alembic import command
    from alembic.config import Config

    log.info("upgrading the database", extra=logs.fields(present=present or "empty", wanted=wanted))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.connect().execution_options(riad_write=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _present(database: Database) -> str | None:
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return str(found) if found is not None else None
