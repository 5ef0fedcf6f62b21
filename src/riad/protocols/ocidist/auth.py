"""Who calls, and whether they may: bearer tokens from `/jwt/auth`, or Basic directly.

A refusal tells a client what to do next: 401 with a challenge where a (better) token would help, 403 or 404 where it
would not. Whoever may not see a project is told that it does not exist.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy.orm import Session

from riad.identity import authenticate, permissions, users
from riad.identity import tokens as access_tokens
from riad.identity.model import ANONYMOUS, Access, Principal
from riad.kernel.faults import Fault, Kind, unauthenticated
from riad.protocols.ocidist import tokens
from riad.protocols.ocidist.errors import Challenged
from riad.protocols.ocidist.services import Services
from riad.registry import access, policy
from riad.registry.access import Action
from riad.registry.faults import Reason, Refusal
from riad.registry.names import RepositoryName, project_of
from riad.registry.store import repository, tagged


@dataclass(frozen=True, slots=True)
class Caller:
    """`granted` is what the token is good for; None: whatever the principal may do."""

    principal: Principal
    granted: tokens.Granted | None

    def holds(self, name: RepositoryName, action: Action) -> bool:
        return self.granted is not None and action in self.granted.get(f"repository:{name}", ())


def caller(services: Services, session: Session, request: Request) -> Caller:
    """Raises `Challenged` for credentials that are not valid; without any the caller is anonymous."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        match scheme.lower():
            case "":
                return Caller(ANONYMOUS, None)
            case "bearer":
                return _bearer(services, session, value.strip())
            case "basic":
                return _basic(services, session, *basic_credentials(value))
    except Fault as fault:
        if fault.kind is not Kind.UNAUTHENTICATED:
            raise
        raise Challenged(fault.message, challenge(services, request, error="invalid_token")) from None
    raise Challenged(f'"{scheme[:20]}" credentials are not understood; send Bearer', challenge(services, request))


def basic_credentials(value: str) -> tuple[str, str]:
    """Username and password of a Basic authorization. Raises UNAUTHENTICATED."""
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise unauthenticated("the authorization header is damaged") from None
    username, _, password = text.partition(":")
    return username, password


def _bearer(services: Services, session: Session, token: str) -> Caller:
    claims = tokens.verify(services.signing_key, token, now=services.clock.now())
    user = None
    if claims.user_id is not None:
        user = users.by_id(session, [claims.user_id]).get(claims.user_id)
        if user is None or user.blocked:
            raise unauthenticated("the token's user is gone or blocked")
    if claims.job_id is not None and not access_tokens.job_runs(session, claims.job_id):
        raise unauthenticated("the token's job has ended")
    return Caller(claims.principal(user), claims.granted)


def _basic(services: Services, session: Session, username: str, password: str) -> Caller:
    if username == tokens.PULL_USERNAME:
        return _bearer(services, session, password)
    return Caller(authenticate.basic(session, username, password, clock=services.clock), None)


def require(services: Services, session: Session, request: Request, name: RepositoryName, action: Action) -> Caller:
    """The caller, who may do this. Raises `Challenged`, DENIED or NAME_UNKNOWN."""
    who = caller(services, session, request)
    if who.holds(name, action):
        return who
    if services.cache.remote(name) is not None:
        return _require_cached(services, request, name, action, who)
    scope = f"repository:{name}:{'pull,push' if action is Action.PUSH else action}"
    project = project_of(session, services.projects, name)
    if project is not None and action in access.allowed(session, who.principal, project):
        if who.granted is None:
            return who
        raise Challenged(
            f"the token is not for {action} on {name}", challenge(services, request, scope, "insufficient_scope")
        )
    if who.principal.user is None:
        error = "insufficient_scope" if who.granted is not None else None
        raise Challenged(f"log in to {action} {name}", challenge(services, request, scope, error))
    if project is None or not access.sees(session, who.principal, project):
        message = f"no project {name} that {who.principal.user.username} can see; create it first, or ask to be added"
        raise Refusal(Reason.NAME_UNKNOWN, message, detail={"name": name.text})
    raise Refusal(
        Reason.DENIED,
        f"{who.principal.user.username} may not {action} {name}: this needs the {access.role_needed(action)} role in "
        "the project, and a token whose scopes cover it",
    )


def require_unprotected(
    services: Services, session: Session, name: RepositoryName, reference: str, who: Caller
) -> None:
    """A protected tag that is there is moved and deleted by maintainers only. Raises DENIED."""
    held = repository(session, name.text)
    if held is None or ":" in reference or not policy.of_project(session, held.project_id).protects(reference):
        return
    if tagged(session, held.id, reference) is None:
        return
    project = services.projects.by_id(session, held.project_id)
    if project is None or permissions.access(session, who.principal, project) < Access.MAINTAINER:
        message = f"the tag {reference} of {name} is protected: only a maintainer of the project moves or deletes it"
        raise Refusal(Reason.DENIED, message)


def _require_cached(services: Services, request: Request, name: RepositoryName, action: Action, who: Caller) -> Caller:
    """Whoever is signed in may pull through the cache, and anyone where it is public."""
    if action is not Action.PULL:
        raise Refusal(Reason.DENIED, f"{name} is a cache of another registry: it cannot be pushed to")
    if services.cache.public or (who.principal.user is not None and who.granted is None):
        return who
    error = "insufficient_scope" if who.granted is not None else None
    raise Challenged(f"log in to pull {name}", challenge(services, request, f"repository:{name}:pull", error))


def challenge(services: Services, request: Request, scope: str | None = None, error: str | None = None) -> str:
    parts = {"realm": f"{_own_address(services, request)}/jwt/auth", "service": tokens.SERVICE}
    if scope:
        parts["scope"] = scope
    if error:
        parts["error"] = error
    return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parts.items())


def _own_address(services: Services, request: Request) -> str:
    """The address the client itself used: a container reaches this server by another name than a browser does."""
    host = request.headers.get("host", "")
    own_scheme, _, own_host = services.external_url.partition("://")
    if not host or host == own_host or any(c in host for c in '"\\ /'):
        return services.external_url
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    return f"{scheme if scheme in ('http', 'https') else own_scheme}://{host}"
