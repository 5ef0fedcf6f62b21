from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from riad.identity import groups, members, tokens, users
from riad.identity.model import Access, Kind, Principal, User
from riad.kernel.clock import FixedClock
from riad.kernel.db import Database
from riad.kernel.faults import Fault

CLOCK = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def session(database: Database):
    with database.write() as session:
        yield session


def made(session: Session, name: str, *, is_admin: bool = False) -> User:
    return users.create(session, username=name, is_admin=is_admin, clock=CLOCK)


def signed_in(user: User) -> Principal:
    return Principal(user=user, kind=Kind.SESSION, scopes=frozenset({"api"}))


def test_users_and_groups_share_one_namespace_in_any_case(session: Session) -> None:
    ada = made(session, "Ada")
    with pytest.raises(Fault, match="already been taken"):
        groups.create(session, signed_in(ada), path="ada", clock=CLOCK)
    groups.create(session, signed_in(ada), path="Demo", clock=CLOCK)
    with pytest.raises(Fault, match="already been taken"):
        made(session, "demo")


def test_an_email_belongs_to_one_user(session: Session) -> None:
    users.create(session, username="ada", email="a@example.com", clock=CLOCK)
    with pytest.raises(Fault, match=r"email 'A@example\.com' has already been taken"):
        users.create(session, username="bob", email="A@example.com", clock=CLOCK)


def test_the_last_administrator_can_be_neither_blocked_nor_demoted_nor_deleted(session: Session) -> None:
    only = made(session, "boss", is_admin=True)
    for act in (users.block, users.delete, lambda s, i: users.set_admin(s, i, False)):
        with pytest.raises(Fault, match="last administrator"):
            act(session, only.id)
    made(session, "other", is_admin=True)
    users.block(session, only.id)
    with pytest.raises(Fault, match="last administrator"):
        users.block(session, users.by_username(session, "other").id)  # type: ignore[union-attr]


def test_an_id_is_never_given_twice(session: Session) -> None:
    first = made(session, "first")
    users.delete(session, first.id)
    assert made(session, "second").id > first.id


def test_whoever_makes_a_group_owns_it_and_the_last_owner_stays(session: Session) -> None:
    ada, bob = made(session, "ada"), made(session, "bob")
    group = groups.create(session, signed_in(ada), path="demo", clock=CLOCK)
    assert groups.access(session, signed_in(ada), group) is Access.OWNER
    with pytest.raises(Fault, match="last owner"):
        members.remove(session, source="group", source_id=group.id, user_id=ada.id)
    with pytest.raises(Fault, match="last owner"):
        members.set(session, source="group", source_id=group.id, user_id=ada.id, access=Access.DEVELOPER, clock=CLOCK)
    members.set(session, source="group", source_id=group.id, user_id=bob.id, access=Access.OWNER, clock=CLOCK)
    members.remove(session, source="group", source_id=group.id, user_id=ada.id)
    assert not groups.visible(session, signed_in(ada), group)


def test_a_deleted_user_leaves_nothing_behind(session: Session) -> None:
    made(session, "boss", is_admin=True)
    ada = made(session, "ada")
    tokens.create_personal(session, ada.id, "t", ["api"], clock=CLOCK)
    tokens.issue_job(session, user_id=ada.id, project_id=1, job_id=1, clock=CLOCK)
    users.delete(session, ada.id)
    assert users.by_username(session, "ada") is None
    assert groups.by_path(session, "ada") is None
    assert tokens.list(session) == []


@pytest.mark.parametrize(
    ("scopes", "said"),
    [
        ([], "at least one is needed"),
        (["api", "everything"], "everything unknown; known are api, read_api"),
    ],
)
def test_a_token_needs_known_scopes(session: Session, scopes: list[str], said: str) -> None:
    with pytest.raises(Fault, match=said):
        tokens.create_personal(session, made(session, "ada").id, "t", scopes, clock=CLOCK)
