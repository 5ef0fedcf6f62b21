"""Who may do what with a project's images: a reporter pulls (a public one: anyone), a developer pushes and deletes."""

from __future__ import annotations

import enum

from sqlalchemy.orm import Session

from riad.identity import permissions
from riad.identity.model import Access, Principal, Scope
from riad.registry.names import Project


class Action(enum.StrEnum):
    """With the names that token scopes give them (distribution's token documentation, "scope")."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


_NEEDS = {Action.PULL: Access.REPORTER, Action.PUSH: Access.DEVELOPER, Action.DELETE: Access.DEVELOPER}


def allowed(session: Session, principal: Principal, project: Project) -> frozenset[Action]:
    """The actions that the principal's role and its token's scopes allow."""
    held = permissions.access(session, principal, project)
    return frozenset(action for action in Action if held >= _NEEDS[action] and principal.covers(_scope(action)))


def sees(session: Session, principal: Principal, project: Project) -> bool:
    """Whether the principal may know that the project exists."""
    return permissions.access(session, principal, project) > Access.NONE


def role_needed(action: Action) -> str:
    return _NEEDS[action].name.lower()


def _scope(action: Action) -> Scope:
    return Scope.READ_REGISTRY if action is Action.PULL else Scope.WRITE_REGISTRY
