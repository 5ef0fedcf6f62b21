"""What happened, written in the same transaction as the change itself, so that no reaction is ever lost.

`emit(session, kind, payload)` inside a domain verb; `deliver(database, kind -> reactions)` in the server hands each
event to its reactions, in order, at least once: a reaction that was cut off runs again, so reactions are idempotent.
One that fails runs again after two seconds, four, eight …, for more than half an hour: what it needs may be away long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from riad.kernel import logs
from riad.kernel.clock import Clock
from riad.kernel.db import Base, Database
from riad.kernel.faults import Fault

log = logs.named("outbox")

MAX_ATTEMPTS = 12
KEPT = timedelta(days=30)
"""How long delivered events stay, to tell what happened."""


class EventRow(Base):
    __tablename__ = "outbox_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None] = mapped_column(index=True)
    error: Mapped[str | None]


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    kind: str
    payload: Mapping[str, Any]
    at: datetime


Reaction = Callable[[Event], None]


def emit(session: Session, kind: str, payload: Mapping[str, Any], *, clock: Clock) -> None:
    """Announces that `kind` (`domain.what_happened`) has happened; delivered once the transaction is committed."""
    session.add(EventRow(kind=kind, payload=dict(payload), created_at=clock.now()))


def deliver(database: Database, reactions: Mapping[str, Sequence[Reaction]], *, clock: Clock) -> int:
    """Hands every undelivered event that is due to its reactions; returns how many.

    A failing reaction leaves its event for a later call, MAX_ATTEMPTS times; later events do not wait for it.
    """
    with database.read() as session:
        waiting = session.scalars(select(EventRow).where(EventRow.done_at.is_(None)).order_by(EventRow.id)).all()
    due = [row for row in waiting if row.attempts == 0 or row.created_at + _pause(row) <= clock.now()]
    for row in due:
        event = Event(id=row.id, kind=row.kind, payload=row.payload, at=row.created_at)
        error = _react(event, reactions.get(row.kind, ()))
        with database.write() as session:
            kept = session.get_one(EventRow, row.id)
            kept.attempts += 1
            kept.error = error
            if error is None or kept.attempts >= MAX_ATTEMPTS:
                kept.done_at = clock.now()
    return len(due)


def _pause(row: EventRow) -> timedelta:
    return timedelta(seconds=2**row.attempts)


def prune(database: Database, *, clock: Clock) -> None:
    """Forgets events that were delivered long ago; never the newest: its number must not be given again."""
    with database.write() as session:
        newest = session.scalar(select(func.max(EventRow.id))) or 0
        session.execute(delete(EventRow).where(EventRow.done_at < clock.now() - KEPT, EventRow.id < newest))


def _react(event: Event, reactions: Sequence[Reaction]) -> str | None:
    for reaction in reactions:
        try:
            reaction(event)
        except Exception as error:  # a task ends here: one event's failure must not stop the others
            fields = logs.fields(event=event.id, kind=event.kind)
            if isinstance(error, Fault):
                log.warning("reaction refused: %s", error, extra=fields)
            else:
                log.exception("reaction failed", extra=fields)
            return f"{type(error).__name__}: {error}"
    return None
