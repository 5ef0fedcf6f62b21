"""What a principal may do with a project.

Membership counts from the project and from its group, the better of the two. Beyond it a public project lets everyone
read (as a reporter would), an internal one everyone who is signed in. A job token acts for its user on its own project,
as a developer at most, and reads public projects; it is a stranger everywhere else, even where its user is an
administrator.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.identity import members
from riad.identity.model import Access, HasAccess, Kind, Principal, Scope, User, Visibility
from riad.identity.store import GroupRow
from riad.kernel.faults import denied, not_found, unauthenticated


def membership(session: Session, user: User, project: HasAccess) -> Access:
    """The user's own access, whatever the project's visibility; administrators own everything."""
    if user.is_admin:
        return Access.OWNER
    owner = session.scalar(select(GroupRow.owner_id).where(GroupRow.id == project.group_id))
    if owner == user.id:
        return Access.OWNER
    return max(
        members.access_of(session, source="group", source_id=project.group_id, user_id=user.id),
        members.access_of(session, source="project", source_id=project.id, user_id=user.id),
    )


def access(session: Session, principal: Principal, project: HasAccess) -> Access:
    """What the principal may do there, all told."""
    user = principal.user
    if principal.kind is Kind.JOB:
        own = user is not None and principal.project_id == project.id
        held = min(membership(session, user, project), Access.DEVELOPER) if own and user is not None else Access.NONE
    else:
        held = membership(session, user, project) if user is not None else Access.NONE
    return max(held, _given_to_all(principal, project))


def _given_to_all(principal: Principal, project: HasAccess) -> Access:
    if project.visibility is Visibility.PUBLIC:
        return Access.REPORTER
    if project.visibility is Visibility.INTERNAL and principal.user is not None and principal.kind is not Kind.JOB:
        return Access.REPORTER
    return Access.NONE


def require(session: Session, principal: Principal, project: HasAccess, wanted: Access) -> Access:
    """Returns the principal's access, at least `wanted`.

    Raises UNAUTHENTICATED where nobody is signed in and it would take somebody, NOT_FOUND where the principal may not
    know that the project exists, DENIED where it sees the project but may not do this.
    """
    held = access(session, principal, project)
    if held >= wanted and held > Access.NONE:
        return held
    if principal.user is None:
        raise unauthenticated("401 Unauthorized")
    if held is Access.NONE:
        raise not_found("404 Project Not Found")
    raise denied(
        f"{principal.user.username} has the {held.name.lower()} role in this project and this needs "
        f"{wanted.name.lower()}; ask one of its maintainers for it"
    )


def require_scope(principal: Principal, *anyof: Scope) -> None:
    """Raises DENIED unless the principal's token covers one of these scopes."""
    if not any(principal.covers(scope) for scope in anyof):
        names = " or ".join(scope.value for scope in anyof)
        raise denied(f"this token's scopes do not cover this; it needs {names}")


def require_admin(principal: Principal) -> User:
    """Raises UNAUTHENTICATED or DENIED. A job token never is an administrator."""
    if principal.user is None:
        raise unauthenticated("401 Unauthorized")
    if not principal.is_admin:
        raise denied("403 Forbidden - only an administrator may do this")
    return principal.user
