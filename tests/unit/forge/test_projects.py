from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from forges import Forge
from riad.forge import projects
from riad.forge.model import Project
from riad.forge.projects import Wanted
from riad.forge.repositories import Repositories
from riad.identity import groups
from riad.identity.model import ANONYMOUS, Access, Kind, Principal, User, Visibility
from riad.kernel import faults
from riad.kernel.clock import FixedClock
from riad.kernel.db import Database
from riad.kernel.faults import Fault

CLOCK = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Forge:
    return Forge(database, Repositories(tmp_path / "repositories"), tmp_path)


def signed_in(user: User) -> Principal:
    return Principal(user=user, kind=Kind.SESSION, scopes=frozenset({"api"}))


def of_job(user: User, project: Project) -> Principal:
    return Principal(user=user, kind=Kind.JOB, scopes=frozenset(), project_id=project.id, job_id=1)


def seen(house: Forge, principal: Principal, wanted: Wanted | None = None) -> list[str]:
    with house.database.read() as session:
        found, total = projects.list_visible(session, principal, wanted or Wanted(order_by="path", ascending=True))
    assert total == len(found)
    return [project.path for project in found]


def kind_of(act) -> faults.Kind:
    with pytest.raises(Fault) as caught:
        act()
    return caught.value.kind


def test_everybody_lists_what_they_may_see(house: Forge) -> None:
    ada, bob, boss = house.user("ada"), house.user("bob"), house.user("boss", is_admin=True)
    made = {v: house.project(ada, v.value, visibility=v) for v in Visibility}
    own = house.project(bob, "own", group="bob")
    house.member(made[Visibility.PRIVATE], bob, Access.GUEST)
    assert seen(house, ANONYMOUS) == ["demo/public"]
    assert seen(house, signed_in(house.user("eve"))) == ["demo/internal", "demo/public"]
    assert seen(house, signed_in(bob)) == ["demo/internal", "bob/own", "demo/private", "demo/public"]
    assert seen(house, signed_in(boss)) == ["demo/internal", "bob/own", "demo/private", "demo/public"]
    assert seen(house, of_job(boss, own)) == ["bob/own", "demo/public"]


def test_a_list_is_narrowed(house: Forge) -> None:
    ada, bob = house.user("ada"), house.user("bob")
    house.project(ada, "one", visibility=Visibility.PUBLIC)
    two = house.project(ada, "two_2", visibility=Visibility.INTERNAL)
    house.member(two, bob, Access.DEVELOPER)
    who = signed_in(bob)
    assert seen(house, who, Wanted(search="_")) == [two.path]
    assert seen(house, who, Wanted(search="%")) == []
    assert seen(house, who, Wanted(search="TWO")) == [two.path]
    assert seen(house, who, Wanted(search="demo/one")) == ["demo/one"]
    assert seen(house, who, Wanted(membership=True)) == [two.path]
    assert seen(house, who, Wanted(owned=True)) == []
    assert seen(house, who, Wanted(at_least=Access.MAINTAINER)) == []
    assert seen(house, who, Wanted(visibility=Visibility.PUBLIC)) == ["demo/one"]
    with house.database.read() as session:
        assert kind_of(lambda: projects.list_visible(session, who, Wanted(order_by="luck"))) is faults.Kind.INVALID


def test_a_private_project_cannot_be_told_from_none(house: Forge) -> None:
    project, eve = house.project(house.user("ada")), house.user("eve")
    with house.database.read() as session:
        for reference in (project.id, project.path, 4711, "demo/nothing", "nonsense"):
            with pytest.raises(Fault, match="404 Project Not Found"):
                projects.seen(session, signed_in(eve), reference)


def test_making_a_project_takes_a_developer_of_the_group(house: Forge) -> None:
    ada, eve = house.user("ada"), house.user("eve")
    house.project(ada)
    assert kind_of(lambda: house.project(eve, "other")) is faults.Kind.NOT_FOUND
    with house.database.write() as session:
        group = groups.by_path(session, "demo")
        assert group is not None
        groups.update(session, group.id, visibility=Visibility.PUBLIC)
    assert kind_of(lambda: house.project(eve, "other")) is faults.Kind.DENIED


def test_paths_that_differ_in_case_alone_are_one(house: Forge) -> None:
    ada = house.user("ada")
    house.project(ada, "Hello")
    assert kind_of(lambda: house.project(ada, "hello")) is faults.Kind.CONFLICT
    with house.database.read() as session:
        found = projects.by_path(session, "DEMO/HELLO")
    assert found is not None
    assert found.path == "demo/Hello"


def test_a_deleted_project_announces_what_is_left_to_remove(house: Forge) -> None:
    ada = house.user("ada")
    project = house.project(ada)
    folder = house.repositories.existing(project.storage)
    with house.database.write() as session:
        projects.delete(session, signed_in(ada), project, clock=CLOCK)
    assert house.events("forge.project_deleted") == [
        {"project_id": project.id, "path": "demo/hello", "storage": project.storage}
    ]
    for _ in range(2):
        house.repositories.remove(project.storage)
    assert not folder.exists()
    assert house.project(ada).id > project.id


def changed(session: Session, house: Forge, user: User, project: Project, **options) -> Project:
    return projects.update(session, signed_in(user), project, **options)


def test_a_maintainer_describes_and_an_owner_opens_to_the_public(house: Forge) -> None:
    ada, bob = house.user("ada"), house.user("bob")
    project = house.project(ada)
    house.member(project, bob, Access.MAINTAINER)
    with house.database.write() as session:
        assert changed(session, house, bob, project, description="New").description == "New"
        assert (
            kind_of(lambda: changed(session, house, bob, project, visibility=Visibility.PUBLIC)) is faults.Kind.DENIED
        )
        assert kind_of(lambda: changed(session, house, bob, project, slug="x")) is faults.Kind.DENIED
        assert changed(session, house, ada, project, slug="renamed").path == "demo/renamed"
        assert changed(session, house, ada, project, slug="Renamed").path == "demo/Renamed"


def test_what_happens_in_a_project_is_its_last_activity(house: Forge) -> None:
    project = house.project(house.user("ada"))
    later = FixedClock(CLOCK.now() + timedelta(days=1))
    with house.database.write() as session:
        projects.touch(session, project.id, clock=later)
    assert house.again(project).last_activity_at == later.now()
