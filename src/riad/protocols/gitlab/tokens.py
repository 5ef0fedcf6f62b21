"""`/personal_access_tokens`: everybody's own; administrators also see and make others'."""

from __future__ import annotations

from datetime import UTC, datetime, time
from functools import partial

from fastapi import APIRouter
from sqlalchemy.orm import Session

from riad.identity import permissions, tokens
from riad.identity.model import Kind, Scope
from riad.identity.store import TokenRow
from riad.kernel.faults import denied, not_found
from riad.protocols.gitlab import errors, lookup, pages
from riad.protocols.gitlab.api import NO_CONTENT, Api, Call, listed
from riad.protocols.gitlab.params import whole
from riad.protocols.gitlab.services import Services
from riad.protocols.gitlab.shapes import users as shapes


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    own = "/personal_access_tokens"
    api.get(own, partial(find, services))
    api.get(f"{own}/self", partial(show_self, services), scope=Scope.READ_USER)
    api.get(f"{own}/{{token_id}}", partial(show, services))
    api.delete(f"{own}/self", partial(revoke_self, services))
    api.delete(f"{own}/{{token_id}}", partial(revoke, services))
    api.post(f"{own}/{{token_id}}/rotate", partial(rotate, services), status=200)
    api.post("/user/personal_access_tokens", partial(create_own, services))
    api.post("/users/{user_id}/personal_access_tokens", partial(create, services))
    return api.router


def find(services: Services, call: Call) -> object:
    user = call.user
    if call.principal.kind is Kind.JOB:
        raise denied("a job cannot see tokens")
    wanted = call.params.number("user_id")
    if wanted is not None and wanted != user.id:
        permissions.require_admin(call.principal)
    owner = wanted if wanted is not None or user.is_admin else user.id
    now = services.clock.now()
    with services.database.read() as session:
        rows = [row for row in tokens.list(session, user_id=owner) if _matches(row, call, now)]
    shown = [shapes.token(row, now=now) for row in pages.cut(rows, call.page)]
    return listed(call, shown, total=len(rows))


def _matches(row: TokenRow, call: Call, now: datetime) -> bool:
    state, revoked, search = call.params.text("state"), call.params.flag("revoked"), call.params.text("search")
    active = tokens.active(row, now)
    return (
        state in (None, "", "active" if active else "inactive")
        and (revoked is None or revoked == row.revoked)
        and (not search or search.lower() in row.name.lower())
    )


def _own(session: Session, call: Call, name: str = "token_id") -> TokenRow:
    """The token of the path, if the caller may know of it."""
    user = call.user
    number = whole(call.path[name])
    row = tokens.get(session, number) if number is not None else None
    if row is None or call.principal.kind is Kind.JOB or (row.user_id != user.id and not user.is_admin):
        raise not_found("404 Token Not Found")
    return row


def _self(session: Session, call: Call) -> TokenRow:
    if call.principal.token_id is None:
        raise errors.BadParameters("this was not called with a personal access token")
    return tokens.get(session, call.principal.token_id)


def show(services: Services, call: Call) -> object:
    with services.database.read() as session:
        return shapes.token(_own(session, call), now=services.clock.now())


def show_self(services: Services, call: Call) -> object:
    with services.database.read() as session:
        return shapes.token(_self(session, call), now=services.clock.now())


def revoke(services: Services, call: Call) -> object:
    with services.database.write() as session:
        tokens.revoke(session, _own(session, call).id)
    return NO_CONTENT


def revoke_self(services: Services, call: Call) -> object:
    with services.database.write() as session:
        tokens.revoke(session, _self(session, call).id)
    return NO_CONTENT


def rotate(services: Services, call: Call) -> object:
    with services.database.write() as session:
        itself = call.path["token_id"] == "self"  # noqa: S105
        old = _self(session, call) if itself else _own(session, call)
        if not tokens.active(old, services.clock.now()):
            raise errors.BadParameters("the token is not active any more")
        tokens.revoke(session, old.id)
        expires = _expiry(call) or old.expires_at
        return _made(services, session, old.user_id, old.name, list(old.scopes), expires)


def create(services: Services, call: Call) -> object:
    permissions.require_admin(call.principal)
    call.params.require("name", "scopes")
    with services.database.write() as session:
        user = lookup.user(session, call)
        return _made(
            services, session, user.id, call.params.needed("name"), call.params.texts("scopes") or [], _expiry(call)
        )


def create_own(services: Services, call: Call) -> object:
    """A token cannot outlive the token that made it."""
    user = call.user
    if call.principal.kind is Kind.JOB:
        raise denied("a job cannot make tokens")
    call.params.require("name", "scopes")
    with services.database.write() as session:
        expires = _expiry(call)
        made_by = tokens.get(session, call.principal.token_id) if call.principal.token_id is not None else None
        if made_by is not None and made_by.expires_at is not None:
            expires = min(expires or made_by.expires_at, made_by.expires_at)
        return _made(services, session, user.id, call.params.needed("name"), call.params.texts("scopes") or [], expires)


def _expiry(call: Call) -> datetime | None:
    """A token is good until the day it expires on begins (UTC)."""
    day = call.params.day("expires_at")
    return datetime.combine(day, time(), UTC) if day is not None else None


def _made(
    services: Services, session: Session, user_id: int, name: str, scopes: list[str], expires: datetime | None
) -> object:
    row, secret = tokens.create_personal(session, user_id, name, scopes, expires, clock=services.clock)
    return shapes.token(row, now=services.clock.now(), secret=secret)
