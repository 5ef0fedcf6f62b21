"""Who may fetch from and push to which project, and what the others are told.

A project that somebody may not see is answered exactly like one that does not exist. Nobody signed in is asked to
sign in first, whether there is a project or not.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sqlalchemy.orm import Session

from riad.forge import projects
from riad.forge.model import Project
from riad.identity import authenticate, permissions, tokens
from riad.identity.model import ANONYMOUS, Access, Kind, Principal, Scope
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault, denied, not_found, unauthenticated
from riad.kernel.faults import Kind as FaultKind
from riad.protocols import credentials
from riad.protocols.git.services import Services


class Service(enum.StrEnum):
    UPLOAD = "git-upload-pack"
    """Fetch."""
    RECEIVE = "git-receive-pack"
    """Push."""


@dataclass(frozen=True, slots=True)
class Allowed:
    project: Project
    principal: Principal


def allow(services: Services, path: str, service: Service, authorization: str | None) -> Allowed:
    """Raises the fault that git is to be answered with. Blocking."""
    with services.database.read() as session:
        principal = _principal(session, authorization, services.clock)
        project = projects.by_path(session, path)
        if project is None:
            raise _missing(principal, path, service)
        try:
            _check(session, principal, project, service)
        except Fault as fault:
            hidden = fault.kind in {FaultKind.NOT_FOUND, FaultKind.UNAUTHENTICATED}
            raise _missing(principal, path, service) if hidden else fault from None
        due = principal.token_id is not None and tokens.use_is_due(session, principal.token_id, clock=services.clock)
    if due and principal.token_id is not None:
        with services.database.write() as session:
            tokens.used(session, principal.token_id, clock=services.clock)
    return Allowed(project, principal)


def _principal(session: Session, authorization: str | None, clock: Clock) -> Principal:
    if authorization is None:
        return ANONYMOUS
    pair = credentials.basic(authorization)
    if pair is not None:
        return authenticate.basic(session, *pair, clock=clock)
    token = credentials.bearer(authorization)
    if token is not None:
        return authenticate.token(session, token, clock=clock)
    raise authenticate.refused()


def _check(session: Session, principal: Principal, project: Project, service: Service) -> None:
    if service is Service.UPLOAD:
        permissions.require(session, principal, project, Access.REPORTER)
        permissions.require_scope(principal, Scope.READ_REPOSITORY)
        return
    held = permissions.require(session, principal, project, Access.GUEST)
    if principal.user is None:
        raise unauthenticated("401 Unauthorized")
    if principal.kind is Kind.JOB:
        raise denied("a job's token cannot push; use a personal access token with the scope write_repository")
    permissions.require_scope(principal, Scope.WRITE_REPOSITORY)
    if held < Access.DEVELOPER:
        raise denied(
            f"{principal.user.username} may not push to {project.path}: pushing takes the developer role; "
            "ask one of the project's maintainers for it"
        )
    projects.require_writable(project)


def _missing(principal: Principal, path: str, service: Service) -> Fault:
    if principal.user is None:
        return unauthenticated("sign in, with a username and a password or an access token")
    text = f"there is no project {path} that {principal.user.username} may see"
    if service is Service.RECEIVE:
        text += f"; create it first, on the web page or with: riad project create {path}"
    return not_found(text)
