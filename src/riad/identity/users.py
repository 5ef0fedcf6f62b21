"""What is done with users. A user comes with a namespace: a group of the same path that holds their own projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from riad.identity import names, passwords
from riad.identity.model import User, Visibility
from riad.identity.store import GroupRow, MemberRow, SessionRow, TokenRow, UserRow
from riad.kernel.clock import Clock
from riad.kernel.faults import Finding, conflict, invalid, not_found


def create(
    session: Session,
    *,
    username: str,
    name: str | None = None,
    email: str | None = None,
    password: str | None = None,
    is_admin: bool = False,
    must_change_password: bool = False,
    clock: Clock,
) -> User:
    """Raises INVALID for a name, address or password out of shape, CONFLICT where username or email are taken.

    Without a password the user signs in by token alone.
    """
    path = names.namespace(username, what="username")
    address = names.email(email if email is not None else f"{path}@localhost")
    password_hash = passwords.hashed(password) if password is not None else None
    _refuse_taken(session, path, address)
    now = clock.now()
    home = GroupRow(
        path=path, path_key=path.lower(), name=name or path, visibility=Visibility.PUBLIC.value, created_at=now
    )
    session.add(home)
    session.flush()
    row = UserRow(
        username=path,
        username_key=path.lower(),
        name=name or path,
        email=address,
        email_key=address.lower(),
        password_hash=password_hash,
        is_admin=is_admin,
        must_change_password=must_change_password,
        created_at=now,
        namespace_id=home.id,
    )
    session.add(row)
    session.flush()
    home.owner_id = row.id
    session.flush()
    return row.value()


def _refuse_taken(session: Session, username: str, email: str) -> None:
    taken = select(GroupRow.id).where(GroupRow.path_key == username.lower())
    if session.scalar(taken) is not None:
        raise conflict(f"username {username!r} has already been taken by a user or a group")
    if session.scalar(select(UserRow.id).where(UserRow.email_key == email.lower())) is not None:
        raise conflict(f"email {email!r} has already been taken")


def get(session: Session, user_id: int) -> User:
    return _row(session, user_id).value()


def by_username(session: Session, username: str) -> User | None:
    if "\0" in username:  # PostgreSQL refuses it in a question
        return None
    row = session.scalar(select(UserRow).where(UserRow.username_key == username.lower()))
    return row.value() if row is not None else None


def by_id(session: Session, user_ids: Iterable[int]) -> Mapping[int, User]:
    """The users of these ids that exist, for lists that show who did what."""
    wanted = set(user_ids)
    rows = session.scalars(select(UserRow).where(UserRow.id.in_(wanted))) if wanted else ()
    return {row.id: row.value() for row in rows}


def find(
    session: Session,
    *,
    search: str | None = None,
    blocked: bool | None = None,
    offset: int = 0,
    limit: int = 100,
) -> tuple[list[User], int]:
    """Users by part of username or name, or exact email; newest first, as GitLab lists them. With the total."""
    query = select(UserRow)
    if blocked is not None:
        query = query.where(UserRow.blocked.is_(blocked))
    if search:
        part = search.lower()
        query = query.where(
            or_(
                UserRow.username_key.contains(part, autoescape=True),
                func.lower(UserRow.name).contains(part, autoescape=True),
                UserRow.email_key == part,
            )
        )
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = session.scalars(query.order_by(UserRow.id.desc()).offset(offset).limit(limit))
    return [row.value() for row in rows], total


def rename(session: Session, user_id: int, *, name: str | None = None, email: str | None = None) -> User:
    row = _row(session, user_id)
    if name is not None:
        row.name = name
    if email is not None and names.email(email).lower() != row.email_key:
        _refuse_taken(session, "", email)
        row.email, row.email_key = email, email.lower()
    session.flush()
    return row.value()


def set_admin(session: Session, user_id: int, is_admin: bool) -> User:
    row = _row(session, user_id)
    if not is_admin:
        _refuse_last_admin(session, row)
    row.is_admin = is_admin
    session.flush()
    return row.value()


def block(session: Session, user_id: int) -> User:
    """Ends every session; tokens and password answer nothing until `unblock`."""
    row = _row(session, user_id)
    _refuse_last_admin(session, row)
    row.blocked = True
    session.execute(sql_delete(SessionRow).where(SessionRow.user_id == user_id))
    session.flush()
    return row.value()


def unblock(session: Session, user_id: int) -> User:
    row = _row(session, user_id)
    row.blocked = False
    session.flush()
    return row.value()


def change_password(session: Session, user_id: int, password: str, *, one_time: bool = False) -> None:
    """Ends the user's sessions. A `one_time` password is good for signing in and choosing another one, no more."""
    row = _row(session, user_id)
    if not one_time and row.must_change_password and passwords.matches(password, row.password_hash):
        message = "is the one-time password; choose a new one"
        raise invalid(f"password {message}", Finding("password", message))
    row.password_hash = passwords.hashed(password)
    row.must_change_password = one_time
    session.execute(sql_delete(SessionRow).where(SessionRow.user_id == user_id))
    session.flush()


def delete(session: Session, user_id: int) -> None:
    """The user, their namespace, memberships and tokens. Their projects are the caller's to remove first."""
    row = _row(session, user_id)
    _refuse_last_admin(session, row)
    for table in (MemberRow, SessionRow, TokenRow):
        session.execute(sql_delete(table).where(table.user_id == user_id))
    home = row.namespace_id
    session.delete(row)
    session.flush()
    session.execute(sql_delete(MemberRow).where(MemberRow.source == "group", MemberRow.source_id == home))
    session.execute(sql_delete(GroupRow).where(GroupRow.id == home))


def _refuse_last_admin(session: Session, row: UserRow) -> None:
    if not row.is_admin or row.blocked:
        return
    others = select(UserRow.id).where(UserRow.is_admin, UserRow.blocked.is_(False), UserRow.id != row.id).limit(1)
    if session.scalar(others) is None:
        raise conflict(f"{row.username} is the last administrator; make another user administrator first")


def _row(session: Session, user_id: int) -> UserRow:
    row = session.get(UserRow, user_id)
    if row is None:
        raise not_found("404 User Not Found")
    return row
