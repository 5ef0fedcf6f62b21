"""The visitor's own settings: name, password, personal access tokens."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from fastapi import Response

from riad.identity import tokens, users
from riad.identity.model import Scope
from riad.kernel.faults import Fault, invalid, not_found
from riad.web.pages import Pages
from riad.web.visit import Visit


def add(pages: Pages) -> None:
    pages.get("/-/profile")(show)
    pages.post("/-/profile")(change)
    pages.post("/-/profile/tokens")(create_token)
    pages.post("/-/profile/tokens/revoke")(revoke_token)


def show(visit: Visit) -> Response:
    return _page(visit)


def _page(visit: Visit, *, secret: str | None = None, fault: Fault | None = None) -> Response:
    now = visit.services.clock.now()
    with visit.services.database.read() as session:
        rows = [row for row in tokens.list(session, user_id=visit.user.id) if tokens.active(row, now)]
    return visit.render(
        "account.html",
        status=200 if fault is None else 422,
        tokens=rows,
        secret=secret,
        fault=fault,
        scopes=list(Scope),
        form=visit.form,
        in_a_year=(now + timedelta(days=365)).date().isoformat(),
    )


def change(visit: Visit) -> Response:
    with visit.write() as session:
        users.rename(session, visit.user.id, name=visit.field("name") or None, email=visit.field("email") or None)
    return visit.go("/-/profile", notice="The changes were saved.")


def create_token(visit: Visit) -> Response:
    """Shows the secret once, on the answer itself: it is kept nowhere."""
    scopes = [scope.value for scope in Scope if visit.field(f"scope_{scope.value}")]
    try:
        with visit.write() as session:
            _, secret = tokens.create_personal(
                session,
                visit.user.id,
                visit.field("name"),
                scopes,
                _end_of(visit.field("expires_at"), visit.services.clock.now()),
                clock=visit.services.clock,
            )
    except Fault as fault:
        return _page(visit, fault=fault)
    return _page(visit, secret=secret)


def _end_of(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        end = datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time.max, UTC)
    except ValueError:
        raise invalid(f'"{text[:20]}" is not a date such as 2030-12-31') from None
    if end <= now:
        raise invalid("the last day must not be over already")
    return end


def revoke_token(visit: Visit) -> Response:
    token_id = visit.field("id")
    own = {str(row.id): row for row in tokens.list(visit.session, user_id=visit.user.id)}
    if token_id not in own:
        raise not_found("you have no such token")
    with visit.write() as session:
        tokens.revoke(session, int(token_id))
    return visit.go("/-/profile", notice=f"The token {own[token_id].name} is no longer good.")
