"""Web sign-ins: a random secret in a cookie, its hash here."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from riad.identity import authenticate, secret
from riad.identity.model import Kind, Principal
from riad.identity.store import SessionRow, UserRow
from riad.kernel.clock import Clock

COOKIE = "riad_session"
LIFETIME = timedelta(days=14)


def open(session: Session, user_id: int, *, clock: Clock) -> str:  # noqa: A001 -- the verb users say
    """The secret for the cookie, good for LIFETIME. Sessions that have run out are removed in passing."""
    now = clock.now()
    session.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
    text = secret.fresh(secret.SESSION)
    session.add(SessionRow(user_id=user_id, secret_hash=secret.digest(text), created_at=now, expires_at=now + LIFETIME))
    session.flush()
    return text


def principal(session: Session, secret_text: str, *, clock: Clock) -> Principal:
    """Raises UNAUTHENTICATED for a session that is unknown, over, or of a blocked user."""
    found = session.execute(
        select(SessionRow, UserRow)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .where(SessionRow.secret_hash == secret.digest(secret_text))
    ).one_or_none()
    if found is None:
        raise authenticate.refused()
    row, user = found
    if user.blocked or row.expires_at <= clock.now():
        raise authenticate.refused()
    return Principal(user=user.value(), kind=Kind.SESSION, scopes=authenticate.EVERYTHING)


def close(session: Session, secret_text: str) -> None:
    session.execute(delete(SessionRow).where(SessionRow.secret_hash == secret.digest(secret_text)))
