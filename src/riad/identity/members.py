"""Who belongs to a group or a project, and with which access."""

from __future__ import annotations

import builtins
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from riad.identity.model import Access, Member
from riad.identity.store import GroupRow, MemberRow, UserRow
from riad.kernel.clock import Clock
from riad.kernel.faults import Finding, conflict, invalid, not_found

Source = Literal["group", "project"]


def set(  # noqa: A001 -- the verb users say
    session: Session, *, source: Source, source_id: int, user_id: int, access: Access, clock: Clock
) -> Member:
    """Adds the user, or changes their access. Raises NOT_FOUND for the user, INVALID for access NONE."""
    if access is Access.NONE:
        raise invalid(
            "access_level does not have a valid value", Finding("access_level", "does not have a valid value")
        )
    user = session.get(UserRow, user_id)
    if user is None:
        raise not_found("404 User Not Found")
    row = _row(session, source, source_id, user_id)
    if row is None:
        row = MemberRow(source=source, source_id=source_id, user_id=user_id, access=int(access), created_at=clock.now())
        session.add(row)
    else:
        if access < Access.OWNER:
            _refuse_last_owner(session, row)
        row.access = int(access)
    session.flush()
    return Member(user=user.value(), access=access, created_at=row.created_at)


def list(session: Session, *, source: Source, source_id: int) -> builtins.list[Member]:  # noqa: A001
    rows = session.execute(
        select(MemberRow, UserRow)
        .join(UserRow, UserRow.id == MemberRow.user_id)
        .where(MemberRow.source == source, MemberRow.source_id == source_id)
        .order_by(MemberRow.id)
    )
    return [Member(user=user.value(), access=Access(row.access), created_at=row.created_at) for row, user in rows]


def get(session: Session, *, source: Source, source_id: int, user_id: int) -> Member | None:
    row = _row(session, source, source_id, user_id)
    if row is None:
        return None
    return Member(user=session.get_one(UserRow, user_id).value(), access=Access(row.access), created_at=row.created_at)


def all_of_project(session: Session, *, project_id: int, group_id: int) -> builtins.list[Member]:
    """The project's own members and those of its group (with a namespace's owner), each once with the best access."""
    found: dict[int, Member] = {}
    home = session.get(GroupRow, group_id)
    candidates = [
        *list(session, source="group", source_id=group_id),
        *list(session, source="project", source_id=project_id),
    ]
    if home is not None and home.owner_id is not None:
        owner = session.get_one(UserRow, home.owner_id).value()
        candidates.append(Member(user=owner, access=Access.OWNER, created_at=home.created_at))
    for member in candidates:
        known = found.get(member.user.id)
        if known is None or known.access < member.access:
            found[member.user.id] = member
    return builtins.list(found.values())


def access_of(session: Session, *, source: Source, source_id: int, user_id: int) -> Access:
    row = _row(session, source, source_id, user_id)
    return Access(row.access) if row is not None else Access.NONE


def remove(session: Session, *, source: Source, source_id: int, user_id: int) -> None:
    """Raises NOT_FOUND where the user is no member, CONFLICT for the last owner of a group."""
    row = _row(session, source, source_id, user_id)
    if row is None:
        raise not_found("404 Member Not Found")
    _refuse_last_owner(session, row)
    session.delete(row)
    session.flush()


def forget(session: Session, *, source: Source, source_id: int) -> None:
    """Removes every membership of a group or project that is going away."""
    session.execute(delete(MemberRow).where(MemberRow.source == source, MemberRow.source_id == source_id))


def _refuse_last_owner(session: Session, row: MemberRow) -> None:
    if row.source != "group" or row.access < Access.OWNER:
        return
    others = select(MemberRow.id).where(
        MemberRow.source == "group",
        MemberRow.source_id == row.source_id,
        MemberRow.access >= Access.OWNER,
        MemberRow.id != row.id,
    )
    if session.scalar(others.limit(1)) is None:
        raise conflict("this is the last owner of the group; make another member owner first")


def _row(session: Session, source: Source, source_id: int, user_id: int) -> MemberRow | None:
    return session.scalar(
        select(MemberRow).where(
            MemberRow.source == source, MemberRow.source_id == source_id, MemberRow.user_id == user_id
        )
    )
