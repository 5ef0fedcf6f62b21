"""Personal access tokens and job tokens. A secret is handed out once, at its creation."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from riad.identity import secret
from riad.identity.model import Scope
from riad.identity.store import JobTokenRow, TokenRow
from riad.kernel.clock import Clock
from riad.kernel.faults import Finding, conflict, invalid, not_found

SHORTEST_PRESET = 8
USE_RECORDED = timedelta(minutes=10)


def create_personal(
    session: Session,
    user_id: int,
    name: str,
    scopes: Iterable[str],
    expires_at: datetime | None = None,
    *,
    clock: Clock,
    preset: str | None = None,
) -> tuple[TokenRow, str]:
    """The token and its secret (`preset` where the administrator chose one). Raises INVALID for a scope or name."""
    wanted = _scopes(scopes)
    if not name.strip():
        raise invalid("name can't be blank", Finding("name", "can't be blank"))
    if preset is not None and len(preset) < SHORTEST_PRESET:
        raise invalid(f"a token needs at least {SHORTEST_PRESET} characters", Finding("token", "is too short"))
    text = preset if preset is not None else secret.fresh(secret.PERSONAL)
    if preset is not None and _by_secret(session, text) is not None:
        raise conflict("this token is in use already; choose another one")
    row = TokenRow(
        user_id=user_id,
        name=name.strip(),
        scopes=wanted,
        secret_hash=secret.digest(text),
        created_at=clock.now(),
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, text


def _scopes(scopes: Iterable[str]) -> builtins.list[str]:
    given = builtins.list(dict.fromkeys(scopes))
    known = {scope.value for scope in Scope}
    wrong = [scope for scope in given if scope not in known]
    if wrong or not given:
        what = f"scopes: {', '.join(wrong)} unknown" if wrong else "scopes: at least one is needed"
        message = f"{what}; known are {', '.join(sorted(known))}"
        raise invalid(message, Finding("scopes", message))
    return given


def get(session: Session, token_id: int) -> TokenRow:
    row = session.get(TokenRow, token_id)
    if row is None:
        raise not_found("404 Token Not Found")
    return row


def list(session: Session, *, user_id: int | None = None) -> builtins.list[TokenRow]:  # noqa: A001
    query = select(TokenRow).order_by(TokenRow.id)
    return builtins.list(session.scalars(query.where(TokenRow.user_id == user_id) if user_id is not None else query))


def active(row: TokenRow, at: datetime) -> bool:
    return not row.revoked and (row.expires_at is None or row.expires_at > at)


def revoke(session: Session, token_id: int) -> None:
    get(session, token_id).revoked = True
    session.flush()


def use_is_due(session: Session, token_id: int, *, clock: Clock) -> bool:
    """Whether `used` is worth a write: not more often than every USE_RECORDED."""
    row = session.get(TokenRow, token_id)
    return row is not None and (row.last_used_at is None or clock.now() - row.last_used_at >= USE_RECORDED)


def used(session: Session, token_id: int, *, clock: Clock) -> None:
    row = session.get(TokenRow, token_id)
    if row is not None:
        row.last_used_at = clock.now()


def issue_job(session: Session, *, user_id: int, project_id: int, job_id: int, clock: Clock) -> str:
    """The secret of a running job: acts as `user_id`, on `project_id` alone. A job has one: an earlier one ends."""
    revoke_job(session, job_id)
    text = secret.fresh(secret.JOB)
    session.add(
        JobTokenRow(
            user_id=user_id,
            project_id=project_id,
            job_id=job_id,
            secret_hash=secret.digest(text),
            created_at=clock.now(),
        )
    )
    session.flush()
    return text


def revoke_job(session: Session, job_id: int) -> None:
    session.execute(delete(JobTokenRow).where(JobTokenRow.job_id == job_id))


def job_runs(session: Session, job_id: int) -> bool:
    """Whether the job still has its token: what was derived from it must not outlive it."""
    return session.scalar(select(JobTokenRow.id).where(JobTokenRow.job_id == job_id)) is not None


def _by_secret(session: Session, text: str) -> TokenRow | None:
    return session.scalar(select(TokenRow).where(TokenRow.secret_hash == secret.digest(text)))
