"""Plain SQL on the server's database, for tables that grow by thousands of rows a second.

Statements are written with `?` and run on SQLite and PostgreSQL alike: what both understand (`ON CONFLICT`,
`RETURNING`) is all that is used. Writes go through `Writer`: whatever has come while the last transaction was being
committed shares the next one, so that many small writes cost one commit.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from riad.kernel import logs
from riad.kernel.db import Database
from riad.kernel.faults import unavailable

log = logs.named("ml")

T = TypeVar("T")
Row = tuple[Any, ...]
_LARGEST_GROUP = 256


class Sql:
    """One transaction's cursor."""

    def __init__(self, connection: Connection) -> None:
        self.sqlite = connection.dialect.name == "sqlite"
        self._cursor = connection.connection.cursor()
        self._translate = _as_format if connection.dialect.paramstyle in ("format", "pyformat") else _as_is

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        self._cursor.execute(self._translate(statement), values)
        return list(self._cursor.fetchall())

    def row(self, statement: str, values: Sequence[Any] = ()) -> Row | None:
        self._cursor.execute(self._translate(statement), values)
        found: Row | None = self._cursor.fetchone()
        return found

    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """How many rows it has changed."""
        self._cursor.execute(self._translate(statement), values)
        return int(self._cursor.rowcount)

    def many(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        self._cursor.executemany(self._translate(statement), list(values))

    def close(self) -> None:
        self._cursor.close()


def record(kind: Callable[..., T], row: Sequence[Any], **more: Any) -> T:
    """A value of a class whose first fields are a row's columns, in order."""
    return kind(*row, **more)


def marks(values: Sequence[Any]) -> str:
    """Placeholders for `IN (…)`; there has to be at least one value."""
    return ", ".join("?" * len(values))


@contextmanager
def reading(database: Database) -> Iterator[Sql]:
    """One consistent view. Blocking: not for an event loop."""
    with database.engine.connect() as connection, connection.begin():
        sql = Sql(connection)
        try:
            yield sql
        finally:
            sql.close()


@contextmanager
def writing(database: Database) -> Iterator[Sql]:
    """One transaction, committed at the end. Blocking: for work that is not a client's; theirs goes by `Writer`."""
    with database.engine.connect().execution_options(riad_write=True) as connection, connection.begin():
        sql = Sql(connection)
        try:
            yield sql
        finally:
            sql.close()


class Writer:
    """The one thread that writes. `start` before the first write, `close` after the last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ml-writer", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """After everything that was asked for has been written."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    async def write(self, work: Callable[[Sql], T]) -> T:
        """What `work` returns, once it is committed; what it raises, with nothing of it kept."""
        job = _Job(work, asyncio.get_running_loop())
        self.start()
        self._jobs.put(job)
        return await job.future  # type: ignore[no-any-return]

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            group, last = [first], False
            while len(group) < _LARGEST_GROUP and not last:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                last = job is None
                if job is not None:
                    group.append(job)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[_Job]) -> None:
        try:
            with writing(self._database) as sql:
                for job in group:
                    job.carry_out(sql, alone=len(group) == 1)
        except Exception as error:
            expected = len(group) == 1 and error is group[0].error
            if not expected:
                log.exception("experiments could not be written")
            for job in group:
                job.error = job.error or unavailable(f"the database does not take writes now: {error}")
        _tell(group)


class _Job:
    def __init__(self, work: Callable[[Sql], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def carry_out(self, sql: Sql, *, alone: bool) -> None:
        """A group goes on where one of its jobs fails; a job that is alone takes its transaction with it."""
        if alone:
            try:
                self.result = self._work(sql)
            except Exception as error:
                self.error = error
                raise
            return
        sql.run("SAVEPOINT job")
        try:
            self.result = self._work(sql)
        except Exception as error:
            self.error = error
            sql.run("ROLLBACK TO SAVEPOINT job")
        sql.run("RELEASE SAVEPOINT job")

    def settle(self) -> None:
        if self.future.done():
            return  # nobody waits any more
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def _tell(group: list[_Job]) -> None:
    for loop in {job.loop for job in group}:
        mine = [job for job in group if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_settle, mine)
        except RuntimeError:
            log.warning("the server stopped before it could answer a write that was kept")


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        job.settle()


@lru_cache(maxsize=1024)
def _as_format(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")


def _as_is(statement: str) -> str:
    return statement
