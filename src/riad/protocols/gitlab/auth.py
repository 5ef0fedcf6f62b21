"""Who calls GitLab's API: by `PRIVATE-TOKEN`, `Authorization: Bearer`, `JOB-TOKEN`, Basic, or the web's cookie.

As in GitLab the tokens may also be parameters of the query (`private_token`, `access_token`, `job_token`). Nothing
given at all is the anonymous principal; anything given that is not valid is UNAUTHENTICATED, never anonymous.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request
from sqlalchemy.orm import Session

from riad.identity import authenticate, sessions, tokens
from riad.identity.model import ANONYMOUS, Kind, Principal
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import denied
from riad.protocols import credentials

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Authenticate:
    """Give it to FastAPI as `Depends(Authenticate(database, clock))`, or call it. Blocking: not for an event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def __call__(self, request: Request) -> Principal:
        with self._database.read() as session:
            found = principal(request, session, clock=self._clock)
            due = found.token_id is not None and tokens.use_is_due(session, found.token_id, clock=self._clock)
        if due and found.token_id is not None:
            with self._database.write() as session:
                tokens.used(session, found.token_id, clock=self._clock)
        return found


def principal(request: Request, session: Session, *, clock: Clock) -> Principal:
    """Raises UNAUTHENTICATED; DENIED for a one-time password, or a cookie sent from another site."""
    token = _token(request)
    if token is not None:
        return authenticate.token(session, token, clock=clock)
    pair = credentials.basic(request.headers.get("authorization"))
    if pair is not None:
        return authenticate.basic(session, *pair, clock=clock)
    if request.headers.get("authorization"):
        raise authenticate.refused()
    cookie = request.cookies.get(sessions.COOKIE)
    if cookie is None:
        return ANONYMOUS
    found = sessions.principal(session, cookie, clock=clock)
    if found.user is not None and found.user.must_change_password:
        raise denied("choose your own password on the web page first")
    if request.method not in SAFE:
        _refuse_other_sites(request)
    return found


def _token(request: Request) -> str | None:
    headers, query = request.headers, request.query_params
    return (
        headers.get("private-token")
        or query.get("private_token")
        or credentials.bearer(headers.get("authorization"))
        or query.get("access_token")
        or headers.get("job-token")
        or query.get("job_token")
        or None
    )


def _refuse_other_sites(request: Request) -> None:
    """A browser sends the cookie along whoever made the page; `Origin` says who did, and no page can forge it."""
    origin = request.headers.get("origin")
    if origin is None or urlsplit(origin).netloc != request.headers.get("host"):
        raise denied("this request came from another site's page; use a personal access token")


def is_job(principal: Principal) -> bool:
    return principal.kind is Kind.JOB
