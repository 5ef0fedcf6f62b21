"""What is done with groups: one level, each a namespace that holds projects and people."""

from __future__ import annotations

import builtins

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from riad.identity import members, names
from riad.identity.model import Access, Group, Kind, Principal, Visibility
from riad.identity.store import GroupRow, MemberRow
from riad.kernel.clock import Clock
from riad.kernel.faults import conflict, denied, not_found, unauthenticated


def create(
    session: Session,
    actor: Principal,
    *,
    path: str,
    name: str | None = None,
    description: str = "",
    visibility: Visibility = Visibility.PRIVATE,
    clock: Clock,
) -> Group:
    """The actor becomes its owner. Raises INVALID for the path, CONFLICT where it is taken."""
    if actor.user is None:
        raise unauthenticated("sign in to create a group")
    good = names.namespace(path, what="path")
    if by_path(session, good) is not None:
        raise conflict(f"path {path!r} has already been taken by a user or a group")
    row = GroupRow(
        path=good,
        path_key=good.lower(),
        name=name or good,
        description=description,
        visibility=visibility.value,
        created_at=clock.now(),
    )
    session.add(row)
    session.flush()
    members.set(session, source="group", source_id=row.id, user_id=actor.user.id, access=Access.OWNER, clock=clock)
    return row.value()


def get(session: Session, group_id: int) -> Group:
    row = session.get(GroupRow, group_id)
    if row is None:
        raise not_found("404 Group Not Found")
    return row.value()


def by_path(session: Session, path: str) -> Group | None:
    """A group or a user's namespace."""
    if "\0" in path:  # PostgreSQL refuses it in a question
        return None
    row = session.scalar(select(GroupRow).where(GroupRow.path_key == path.lower()))
    return row.value() if row is not None else None


def find(
    session: Session,
    principal: Principal,
    *,
    search: str | None = None,
    at_least: Access | None = None,
    offset: int = 0,
    limit: int = 100,
) -> tuple[builtins.list[Group], int]:
    """The groups (not users' namespaces) that the principal may see, by name; with their total.

    `at_least`: only those where the principal is a member with this access.
    """
    query = select(GroupRow).where(GroupRow.owner_id.is_(None))
    user = principal.user if principal.kind is not Kind.JOB else None
    mine = select(MemberRow.source_id).where(
        MemberRow.source == "group",
        MemberRow.user_id == (user.id if user is not None else -1),
        MemberRow.access >= int(at_least or Access.GUEST),
    )
    if at_least is not None:
        query = query.where(GroupRow.id.in_(mine))
    elif user is None or not user.is_admin:
        open_to = [Visibility.PUBLIC.value] if user is None else [Visibility.PUBLIC.value, Visibility.INTERNAL.value]
        query = query.where(or_(GroupRow.visibility.in_(open_to), GroupRow.id.in_(mine)))
    if search:
        part = search.lower()
        query = query.where(
            or_(
                GroupRow.path_key.contains(part, autoescape=True),
                func.lower(GroupRow.name).contains(part, autoescape=True),
            )
        )
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = session.scalars(query.order_by(func.lower(GroupRow.name), GroupRow.id).offset(offset).limit(limit))
    return [row.value() for row in rows], total


def list(session: Session, principal: Principal) -> builtins.list[Group]:  # noqa: A001 -- the verb users say
    return find(session, principal, limit=1000)[0]


def access(session: Session, principal: Principal, group: Group) -> Access:
    """The principal's own access to the group; administrators own everything, a job nothing."""
    user = principal.user
    if user is None or principal.kind is Kind.JOB:
        return Access.NONE
    if user.is_admin or group.owner_id == user.id:
        return Access.OWNER
    return members.access_of(session, source="group", source_id=group.id, user_id=user.id)


def visible(session: Session, principal: Principal, group: Group) -> bool:
    if group.visibility is Visibility.PUBLIC:
        return True
    if principal.user is not None and principal.kind is not Kind.JOB and group.visibility is Visibility.INTERNAL:
        return True
    return access(session, principal, group) > Access.NONE


def require(session: Session, principal: Principal, group: Group, wanted: Access) -> None:
    """Raises NOT_FOUND where the principal may not see the group, DENIED where it may not do this."""
    if not visible(session, principal, group):
        raise not_found("404 Group Not Found")
    if access(session, principal, group) < wanted:
        if principal.user is None:
            raise unauthenticated("401 Unauthorized")
        raise denied(f"this needs the {wanted.name.lower()} role in the group {group.path}; ask one of its owners")


def update(
    session: Session,
    group_id: int,
    *,
    path: str | None = None,
    name: str | None = None,
    description: str | None = None,
    visibility: Visibility | None = None,
) -> Group:
    row = session.get(GroupRow, group_id)
    if row is None:
        raise not_found("404 Group Not Found")
    if path is not None and path != row.path:
        good = names.namespace(path, what="path")
        other = by_path(session, good)
        if other is not None and other.id != group_id:
            raise conflict(f"path {path!r} has already been taken by a user or a group")
        row.path, row.path_key = good, good.lower()
    row.name = name if name is not None else row.name
    row.description = description if description is not None else row.description
    row.visibility = visibility.value if visibility is not None else row.visibility
    session.flush()
    return row.value()


def delete(session: Session, group_id: int) -> None:
    """The group and its memberships. Its projects are the caller's to remove first."""
    session.execute(sql_delete(MemberRow).where(MemberRow.source == "group", MemberRow.source_id == group_id))
    session.execute(sql_delete(GroupRow).where(GroupRow.id == group_id))
