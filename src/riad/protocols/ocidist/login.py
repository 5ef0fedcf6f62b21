"""`/jwt/auth`: trades credentials for a token (distribution's "Token Authentication Specification", and by OAuth 2).

Several scopes may be asked for at once, repeated or joined by spaces; what may not be given is left out, never an
error: the registry itself explains a refusal. `offline_token` is heard and not answered: there are no refresh tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.orm import Session

from riad.identity import authenticate
from riad.identity.model import ANONYMOUS, Principal, Scope
from riad.kernel.faults import Fault, Kind
from riad.protocols.ocidist import tokens
from riad.protocols.ocidist.auth import basic_credentials
from riad.protocols.ocidist.errors import Challenged, RegistryRoute
from riad.protocols.ocidist.services import Services
from riad.registry import access
from riad.registry.access import Action
from riad.registry.faults import Reason, Refusal
from riad.registry.names import RepositoryName, project_of

MAX_SCOPES = 50


def router(services: Services) -> APIRouter:
    routes = APIRouter(route_class=RegistryRoute)

    @routes.get("/jwt/auth")
    def get_token(request: Request, scope: Annotated[list[str] | None, Query()] = None) -> dict[str, object]:
        with services.database.read() as session:
            principal = _from_header(services, session, request.headers.get("authorization", ""))
            return _answer(services, session, principal, scope or [])

    @routes.post("/jwt/auth")
    def post_token(
        grant_type: Annotated[str, Form()],
        username: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        scope: Annotated[str, Form()] = "",
    ) -> dict[str, object]:
        if grant_type != "password":
            raise Refusal(Reason.UNSUPPORTED, f'grant_type "{grant_type[:40]}": only "password" is given tokens')
        with services.database.read() as session:
            return _answer(services, session, _from_password(services, session, username, password), [scope])

    return routes


def _from_header(services: Services, session: Session, header: str) -> Principal:
    if not header:
        return ANONYMOUS
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise Challenged("log in with a username and a password or token", _BASIC)
    return _from_password(services, session, *basic_credentials(value))


_BASIC = 'Basic realm="Riad"'


def _from_password(services: Services, session: Session, username: str, password: str) -> Principal:
    try:
        return authenticate.basic(session, username, password, clock=services.clock)
    except Fault as fault:
        if fault.kind is not Kind.UNAUTHENTICATED:
            raise
        raise Challenged(fault.message, _BASIC) from None


def _answer(services: Services, session: Session, principal: Principal, scopes: list[str]) -> dict[str, object]:
    now = services.clock.now()
    granted: dict[str, frozenset[str]] = {}
    for resource, actions in _asked(scopes):
        allowed = _allowed(services, session, principal, resource, actions)
        if allowed:
            granted[resource] = granted.get(resource, frozenset()) | allowed
    token = tokens.issue(services.signing_key, principal, granted, now=now)
    return {
        "token": token,
        "access_token": token,
        "expires_in": int(tokens.LIFETIME.total_seconds()),
        "issued_at": now.isoformat().replace("+00:00", "Z"),
    }


def _asked(scopes: Iterable[str]) -> list[tuple[str, frozenset[str]]]:
    """`repository:demo/app:pull,push` as (`repository:demo/app`, {pull, push}); others ask for nothing."""
    parts = (scope for text in scopes for scope in text.split())
    return [
        (resource, frozenset(actions.split(",")))
        for resource, _, actions in (part.rpartition(":") for part in list(parts)[:MAX_SCOPES])
        if resource
    ]


def _allowed(
    services: Services, session: Session, principal: Principal, resource: str, actions: frozenset[str]
) -> frozenset[str]:
    if resource == "registry:catalog":
        return frozenset({"*"}) if principal.user is not None else frozenset()
    kind, _, name = resource.partition(":")
    if kind.split("(")[0] != "repository":
        return frozenset()
    try:
        parsed = RepositoryName.parse(name)
    except Refusal:
        return frozenset()
    if services.cache.remote(parsed) is not None:
        may_pull = services.cache.public or (principal.user is not None and principal.covers(Scope.READ_REGISTRY))
        return frozenset({Action.PULL.value}) if may_pull else frozenset()
    project = project_of(session, services.projects, parsed)
    if project is None:
        return frozenset()
    wanted = frozenset(Action) if "*" in actions else frozenset(a for a in Action if a.value in actions)
    return frozenset(action.value for action in wanted & access.allowed(session, principal, project))
