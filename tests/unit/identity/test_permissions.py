from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from riad.identity import groups, members, permissions, users
from riad.identity.model import ANONYMOUS, JOB_SCOPES, Access, Kind, Principal, Scope, User, Visibility
from riad.kernel import faults
from riad.kernel.clock import FixedClock
from riad.kernel.db import Database
from riad.kernel.faults import Fault

CLOCK = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))


@dataclass(frozen=True)
class Thing:
    id: int
    group_id: int
    visibility: Visibility


def signed_in(user: User) -> Principal:
    return Principal(user=user, kind=Kind.SESSION, scopes=frozenset({"api"}))


def of_job(user: User, project_id: int) -> Principal:
    return Principal(user=user, kind=Kind.JOB, scopes=frozenset(JOB_SCOPES), project_id=project_id, job_id=1)


@dataclass(frozen=True)
class House:
    session: Session
    group_id: int
    admin: User
    owner: User
    member: User
    stranger: User

    def access(self, principal: Principal, visibility: Visibility = Visibility.PRIVATE) -> Access:
        return permissions.access(self.session, principal, Thing(7, self.group_id, visibility))

    def refusal(self, principal: Principal, visibility: Visibility, wanted: Access) -> faults.Kind:
        with pytest.raises(Fault) as refused:
            permissions.require(self.session, principal, Thing(7, self.group_id, visibility), wanted)
        return refused.value.kind


@pytest.fixture
def house(database: Database):
    with database.write() as session:
        people = {
            name: users.create(session, username=name, is_admin=name == "admin1", clock=CLOCK)
            for name in ("admin1", "owner", "member", "stranger")
        }
        group = groups.create(session, signed_in(people["owner"]), path="demo", clock=CLOCK)
        members.set(
            session, source="project", source_id=7, user_id=people["member"].id, access=Access.DEVELOPER, clock=CLOCK
        )
        yield House(session, group.id, people["admin1"], people["owner"], people["member"], people["stranger"])


def test_the_better_of_group_and_project_membership_counts(house: House) -> None:
    assert house.access(signed_in(house.member)) is Access.DEVELOPER
    members.set(
        house.session,
        source="group",
        source_id=house.group_id,
        user_id=house.member.id,
        access=Access.MAINTAINER,
        clock=CLOCK,
    )
    assert house.access(signed_in(house.member)) is Access.MAINTAINER


def test_an_administrator_owns_everything(house: House) -> None:
    assert house.access(signed_in(house.admin)) is Access.OWNER


@pytest.mark.parametrize(
    ("visibility", "anonymous", "stranger"),
    [
        (Visibility.PRIVATE, Access.NONE, Access.NONE),
        (Visibility.INTERNAL, Access.NONE, Access.REPORTER),
        (Visibility.PUBLIC, Access.REPORTER, Access.REPORTER),
    ],
)
def test_visibility_lets_strangers_read(
    house: House, visibility: Visibility, anonymous: Access, stranger: Access
) -> None:
    assert house.access(ANONYMOUS, visibility) is anonymous
    assert house.access(signed_in(house.stranger), visibility) is stranger


def test_a_private_project_looks_like_none_to_a_stranger(house: House) -> None:
    assert house.refusal(signed_in(house.stranger), Visibility.PRIVATE, Access.GUEST) is faults.Kind.NOT_FOUND


def test_a_visible_project_says_which_role_is_missing(house: House) -> None:
    with pytest.raises(Fault, match="stranger has the reporter role in this project and this needs developer"):
        permissions.require(
            house.session, signed_in(house.stranger), Thing(7, house.group_id, Visibility.PUBLIC), Access.DEVELOPER
        )


def test_nobody_is_asked_to_sign_in_before_anything_else_is_said(house: House) -> None:
    for visibility in Visibility:
        assert house.refusal(ANONYMOUS, visibility, Access.DEVELOPER) is faults.Kind.UNAUTHENTICATED


def test_a_job_is_a_developer_at_most_on_its_own_project(house: House) -> None:
    assert house.access(of_job(house.owner, 7)) is Access.DEVELOPER
    assert house.access(of_job(house.admin, 7)) is Access.DEVELOPER


def test_a_job_is_a_stranger_elsewhere_but_reads_what_is_public(house: House) -> None:
    elsewhere = of_job(house.admin, 8)
    assert house.access(elsewhere) is Access.NONE
    assert house.access(elsewhere, Visibility.INTERNAL) is Access.NONE
    assert house.access(elsewhere, Visibility.PUBLIC) is Access.REPORTER


def test_a_job_never_is_an_administrator(house: House) -> None:
    with pytest.raises(Fault, match="administrator"):
        permissions.require_admin(of_job(house.admin, 7))


@pytest.mark.parametrize(
    ("held", "wanted", "covers"),
    [
        ("api", Scope.WRITE_REPOSITORY, True),
        ("read_api", Scope.READ_REGISTRY, True),
        ("read_api", Scope.API, False),
        ("write_repository", Scope.READ_REPOSITORY, True),
        ("read_repository", Scope.WRITE_REPOSITORY, False),
        ("write_registry", Scope.READ_API, False),
    ],
)
def test_a_scope_covers_what_it_implies(held: str, wanted: Scope, covers: bool) -> None:
    assert Principal(user=None, kind=Kind.TOKEN, scopes=frozenset({held})).covers(wanted) is covers


def test_the_owner_of_a_namespace_owns_its_projects(house: House) -> None:
    own = Thing(9, house.stranger.namespace_id, Visibility.PRIVATE)
    assert permissions.access(house.session, signed_in(house.stranger), own) is Access.OWNER
