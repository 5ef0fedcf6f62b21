"""Turns credentials into a `Principal`.

Every refusal is the same UNAUTHENTICATED fault: it tells nobody whether a user exists, a token has expired or a user
is blocked. The one exception is a right one-time password, whose owner has to be told what to do with it.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.identity import passwords, secret
from riad.identity.model import JOB_SCOPES, Kind, Principal, Scope, User
from riad.identity.store import JobTokenRow, TokenRow, UserRow
from riad.identity.tokens import active
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault, denied, unauthenticated

JOB_USERNAME = "gitlab-ci-token"
EVERYTHING = frozenset({Scope.API.value})


def basic(session: Session, username: str, password: str, *, clock: Clock) -> Principal:
    """From a username with a password, any username with a personal token, or `gitlab-ci-token` with a job token.

    Raises UNAUTHENTICATED, or DENIED for a one-time password that has not been changed yet.
    """
    found = _by_token(session, password, clock)
    if found is not None:
        return found
    if username == JOB_USERNAME or password.startswith((secret.PERSONAL, secret.JOB)):
        raise refused()
    user = sign_in(session, username, password)
    if user.must_change_password:
        raise denied(
            f"the password of {user.username} is a one-time password: sign in on the web page and choose your own "
            "first, or use a personal access token"
        )
    return Principal(user=user, kind=Kind.PASSWORD, scopes=EVERYTHING)


def sign_in(session: Session, username: str, password: str) -> User:
    """By username or email and password; also with a one-time password (the caller sees `must_change_password`)."""
    key = username.lower().replace("\0", " ")  # PostgreSQL refuses it in a question; no name holds a space
    row = session.scalar(select(UserRow).where((UserRow.username_key == key) | (UserRow.email_key == key)))
    right = passwords.matches(password, row.password_hash if row is not None else None)
    if row is None or not right or row.blocked:
        raise refused()
    return row.value()


def token(session: Session, token: str, *, clock: Clock) -> Principal:
    """From a personal or a job token. Raises UNAUTHENTICATED."""
    found = _by_token(session, token, clock)
    if found is None:
        raise refused()
    return found


def refused() -> Fault:
    return unauthenticated("the username, password or token is not valid")


def _by_token(session: Session, text: str, clock: Clock) -> Principal | None:
    digest = secret.digest(text)
    if text.startswith(secret.JOB):
        return _by_job_token(session, digest)
    found = session.execute(
        select(TokenRow, UserRow).join(UserRow, UserRow.id == TokenRow.user_id).where(TokenRow.secret_hash == digest)
    ).one_or_none()
    if found is None:
        return None
    row, user = found
    if user.blocked or not active(row, clock.now()):
        return None
    return Principal(user=user.value(), kind=Kind.TOKEN, scopes=frozenset(row.scopes), token_id=row.id)


def _by_job_token(session: Session, digest: str) -> Principal | None:
    found = session.execute(
        select(JobTokenRow, UserRow)
        .join(UserRow, UserRow.id == JobTokenRow.user_id)
        .where(JobTokenRow.secret_hash == digest)
    ).one_or_none()
    if found is None:
        return None
    row, user = found
    if user.blocked:
        return None
    return Principal(
        user=user.value(),
        kind=Kind.JOB,
        scopes=frozenset(scope.value for scope in JOB_SCOPES),
        project_id=row.project_id,
        job_id=row.job_id,
    )
