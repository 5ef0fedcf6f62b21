"""The engine's durable state: one SQLite file, short transactions, called straight from the event loop.

Each part owns its tables: it passes its schema steps to `State.migrate` when it is built and keeps SQL in its own
`store.py`. A killed process loses no committed transaction (WAL); a second daemon on the same folder is refused.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from riad.kernel.faults import conflict


class State:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o710)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise conflict(f"{folder} is in use by another engine; stop it or choose another --data-root") from None
        os.close(os.open(folder / "state.db", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # it holds environments
        os.chmod(folder / "state.db", 0o600)
        self.connection = sqlite3.connect(folder / "state.db", isolation_level=None, timeout=10)
        self.connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self.connection.execute(f"PRAGMA {pragma}")
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_step (part TEXT PRIMARY KEY, steps INTEGER NOT NULL)"
        )
        self._depth = 0

    def migrate(self, part: str, steps: Sequence[str]) -> None:
        """Runs the schema steps (SQL scripts, only ever appended to) of `part` that this file has not seen yet."""
        row = self.connection.execute("SELECT steps FROM schema_step WHERE part = ?", (part,)).fetchone()
        done = row["steps"] if row else 0
        for number, script in enumerate(steps[done:], start=done + 1):
            with self.transaction() as sql:
                for statement in filter(None, map(str.strip, script.split(";\n"))):
                    sql.execute(statement)
                sql.execute("INSERT OR REPLACE INTO schema_step VALUES (?, ?)", (part, number))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Never await inside: the connection is the event loop's. Nested blocks join the outer one."""
        self._depth += 1
        try:
            if self._depth == 1:
                self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                if self._depth == 1:
                    self.connection.execute("ROLLBACK")
                raise
            if self._depth == 1:
                self.connection.execute("COMMIT")
        finally:
            self._depth -= 1

    def close(self) -> None:
        self.connection.close()
        os.close(self._lock)
