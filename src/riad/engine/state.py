"""The engine's durable state: one SQLite file, short transactions, called straight from the event loop.

Each part owns its tables: it passes its schema steps to `State.migrate` when it is built and keeps SQL in its own
`store.py`. A killed process loses no committed transaction (WAL); a second daemon on the same folder is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from riad.kernel import disk
from riad.kernel.faults import conflict

_RESERVE = 2 * 1024**2
"""Bytes kept free inside the database and in its log."""
_CHECKPOINT = 400
"""Pages of the log after which it begins anew: fewer than the reserve has."""


class State:
    """`folder` is the engine's data root. Raises CONFLICT where another engine has it, EXHAUSTED for a full disk,
    UNAVAILABLE for one that cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.db"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o710)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk.refusal(error) or error from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise conflict(f"{folder} is in use by another engine; stop it or choose another --data-root") from None
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            os.close(self._lock)
            raise disk.refusal(error, where=self._file) or error from None
        self._depth = 0

    def _open(self) -> None:
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # it holds environments
        os.chmod(self._file, 0o600)
        self.connection = sqlite3.connect(self._file, isolation_level=None, timeout=10)
        self.connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"wal_autocheckpoint={_CHECKPOINT}",
        ):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_step (part TEXT PRIMARY KEY, steps INTEGER NOT NULL)"
        )
        with contextlib.suppress(sqlite3.OperationalError):  # the disk is full already
            self._reserve()

    def _reserve(self) -> None:
        """A full disk must not keep the engine from writing down that a container has ended: pages that are free inside
        the database, and a log that is written over from its beginning, need no more of the disk."""
        self.connection.execute("CREATE TABLE IF NOT EXISTS reserve (pages BLOB)")
        self.connection.execute("INSERT INTO reserve VALUES (zeroblob(?))", (_RESERVE,))
        self.connection.execute("DROP TABLE reserve")
        for pragma in ("wal_checkpoint(RESTART)", "shrink_memory"):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()

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
        """All or nothing. Never await inside: the connection is the event loop's. Nested blocks join the outer one.

        Raises EXHAUSTED where the disk is full: nothing of the block has been written then.
        """
        self._depth += 1
        try:
            if self._depth == 1:
                self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            if self._depth == 1:
                self.connection.execute("COMMIT")
        except BaseException as error:
            if self._depth == 1 and self.connection.in_transaction:  # some errors have rolled it back themselves
                self.connection.execute("ROLLBACK")
            if (refused := disk.refusal(error, where=self._file)) is not None and isinstance(error, sqlite3.Error):
                raise refused from None
            raise
        finally:
            self._depth -= 1

    def close(self) -> None:
        self.connection.close()
        os.close(self._lock)
