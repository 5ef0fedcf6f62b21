"""`/projects/:id/members` and `/groups/:id/members`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter
from sqlalchemy.orm import Session

from riad.identity import groups, members, permissions, users
from riad.identity.members import Source
from riad.identity.model import Access, Member, User
from riad.kernel.faults import conflict, denied, not_found
from riad.protocols.gitlab import errors, lookup, pages
from riad.protocols.gitlab.api import NO_CONTENT, Api, Call, listed
from riad.protocols.gitlab.params import whole
from riad.protocols.gitlab.services import Services
from riad.protocols.gitlab.shapes import users as shapes


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    for source in ("project", "group"):
        base = f"/{source}s/{{id}}/members"
        own = partial(find, services, source, False)
        every = partial(find, services, source, True)
        api.get(base, own)
        api.get(f"{base}/all", every)
        api.get(f"{base}/all/{{user_id}}", partial(show, services, source, True))
        api.get(f"{base}/{{user_id}}", partial(show, services, source, False))
        api.post(base, partial(add, services, source))
        api.put(f"{base}/{{user_id}}", partial(change, services, source))
        api.delete(f"{base}/{{user_id}}", partial(remove, services, source))
    return api.router


def _list(session: Session, call: Call, source: Source, inherited: bool) -> Sequence[Member]:
    if source == "group":
        return members.list(session, source="group", source_id=lookup.group(session, call).id)
    project = lookup.project(session, call)
    if inherited:
        return members.all_of_project(session, project_id=project.id, group_id=project.group_id)
    return members.list(session, source="project", source_id=project.id)


def find(services: Services, source: Source, inherited: bool, call: Call) -> object:
    query = (call.params.text("query") or "").lower()
    _ = call.user
    with services.database.read() as session:
        found = [
            member
            for member in _list(session, call, source, inherited)
            if query in member.user.username.lower() or query in member.user.name.lower()
        ]
    shown = [shapes.member(member, services.url) for member in pages.cut(found, call.page)]
    return listed(call, shown, total=len(found))


def show(services: Services, source: Source, inherited: bool, call: Call) -> object:
    _ = call.user
    with services.database.read() as session:
        for member in _list(session, call, source, inherited):
            if str(member.user.id) == call.path["user_id"]:
                return shapes.member(member, services.url)
    raise not_found("404 Member Not Found")


def _managed(session: Session, call: Call, source: Source) -> tuple[int, Access]:
    """The id of the project or group, and the access of the caller, who may change its members."""
    if source == "group":
        group = lookup.group(session, call, Access.OWNER)
        return group.id, groups.access(session, call.principal, group)
    project = lookup.project(session, call)
    return project.id, permissions.require(session, call.principal, project, Access.MAINTAINER)


def _refuse_above(own: Access, *others: Access) -> None:
    if any(access > own for access in others):
        raise denied(f"only an owner may do this to owners, and you have the {own.name.lower()} role")


def _level(call: Call) -> Access:
    call.params.require("access_level")
    call.params.refuse(
        expires_at="a membership lasts until it is removed", member_role_id="there are no roles of one's own"
    )
    level = call.params.one_of("access_level", Access)
    if level is None or level is Access.NONE:
        raise errors.BadParameters("access_level does not have a valid value")
    return level


def _named(session: Session, call: Call) -> User:
    user_id, username = call.params.number("user_id"), call.params.text("username")
    if user_id is None and not username:
        raise errors.BadParameters("user_id, username are missing, exactly one parameter must be provided")
    found = users.get(session, user_id) if user_id is not None else users.by_username(session, username or "")
    if found is None:
        raise not_found("404 User Not Found")
    return found


def add(services: Services, source: Source, call: Call) -> object:
    level = _level(call)
    with services.database.write() as session:
        source_id, own = _managed(session, call, source)
        _refuse_above(own, level)
        user = _named(session, call)
        if members.get(session, source=source, source_id=source_id, user_id=user.id) is not None:
            raise conflict("Member already exists")
        member = members.set(
            session, source=source, source_id=source_id, user_id=user.id, access=level, clock=services.clock
        )
    return shapes.member(member, services.url)


def _held(session: Session, call: Call, source: Source, source_id: int) -> Member:
    number = whole(call.path["user_id"])
    found = members.get(session, source=source, source_id=source_id, user_id=number) if number is not None else None
    if found is None:
        raise not_found("404 Member Not Found")
    return found


def change(services: Services, source: Source, call: Call) -> object:
    level = _level(call)
    with services.database.write() as session:
        source_id, own = _managed(session, call, source)
        held = _held(session, call, source, source_id)
        _refuse_above(own, level, held.access)
        member = members.set(
            session, source=source, source_id=source_id, user_id=held.user.id, access=level, clock=services.clock
        )
    return shapes.member(member, services.url)


def remove(services: Services, source: Source, call: Call) -> object:
    """Everybody may leave; maintainers (owners, for a group) may remove others."""
    with services.database.write() as session:
        if call.path["user_id"] == str(call.user.id):
            found = lookup.group(session, call) if source == "group" else lookup.project(session, call)
            source_id = found.id
        else:
            source_id, own = _managed(session, call, source)
            _refuse_above(own, _held(session, call, source, source_id).access)
        held = _held(session, call, source, source_id)
        members.remove(session, source=source, source_id=source_id, user_id=held.user.id)
    return NO_CONTENT
