"""`/groups` and `/namespaces`."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from sqlalchemy.orm import Session

from riad.forge import projects as forge_projects
from riad.identity import groups
from riad.identity.model import Access, Group, Visibility
from riad.kernel.faults import Fault, Kind
from riad.protocols.gitlab import lookup, pages
from riad.protocols.gitlab.api import Answer, Api, Call, listed
from riad.protocols.gitlab.projects import found_projects, shown
from riad.protocols.gitlab.services import Services
from riad.protocols.gitlab.shapes import groups as shapes

UNSUPPORTED = {
    "parent_id": "groups have one level yet",
    "avatar": "there are no pictures of groups",
    "require_two_factor_authentication": "there is no second factor yet",
    "membership_lock": "members are not locked",
    "default_branch_protection": "branches are not protected yet",
}


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    api.get("/groups", partial(find, services))
    api.post("/groups", partial(create, services))
    api.get("/groups/{id}", partial(show, services))
    api.put("/groups/{id}", partial(change, services))
    api.delete("/groups/{id}", partial(remove, services))
    api.get("/groups/{id}/projects", partial(list_projects, services))
    api.get("/groups/{id}/subgroups", partial(none, services))
    api.get("/groups/{id}/descendant_groups", partial(none, services))
    api.get("/namespaces", partial(namespaces, services))
    api.get("/namespaces/{id}", partial(namespace, services))
    return api.router


def find(services: Services, call: Call) -> object:
    level = call.params.one_of("min_access_level", Access)
    with services.database.read() as session:
        found, total = groups.find(
            session,
            call.principal,
            search=call.params.text("search"),
            at_least=Access.OWNER if call.params.on("owned") else level,
            offset=call.page.offset,
            limit=call.page.size,
        )
    return listed(call, [shapes.group(group, services.url) for group in found], total=total)


def create(services: Services, call: Call) -> object:
    params = call.params
    params.require("name", "path")
    params.refuse(**UNSUPPORTED)
    try:
        with services.database.write() as session:
            group = groups.create(
                session,
                call.principal,
                path=params.needed("path"),
                name=params.needed("name"),
                description=params.text("description") or "",
                visibility=params.one_of("visibility", Visibility) or Visibility.PRIVATE,
                clock=services.clock,
            )
    except Fault as fault:
        raise _as_gitlab(fault) from None
    return shapes.detail(group, services.url, [])


def _as_gitlab(fault: Fault) -> Fault:
    """A taken path is a 400 with GitLab's sentence, which clients look for."""
    if fault.kind is not Kind.CONFLICT:
        return fault
    return Fault(Kind.INVALID, 'Failed to save group {:path=>["has already been taken"]}')


def _detail(services: Services, session: Session, call: Call, group: Group) -> object:
    if call.params.flag("with_projects") is False:
        return shapes.detail(group, services.url, [])
    wanted = forge_projects.Wanted(group_id=group.id)
    found, _ = forge_projects.list_visible(session, call.principal, wanted, limit=100)
    return shapes.detail(group, services.url, shown(services, session, call, found, simple=True))


def show(services: Services, call: Call) -> object:
    with services.database.read() as session:
        return _detail(services, session, call, lookup.group(session, call))


def change(services: Services, call: Call) -> object:
    params = call.params
    params.refuse(**UNSUPPORTED)
    try:
        with services.database.write() as session:
            group = lookup.group(session, call, Access.OWNER)
            group = groups.update(
                session,
                group.id,
                path=params.text("path"),
                name=params.text("name"),
                description=params.text("description"),
                visibility=params.one_of("visibility", Visibility),
            )
            return _detail(services, session, call, group)
    except Fault as fault:
        raise _as_gitlab(fault) from None


def remove(services: Services, call: Call) -> object:
    """With all its projects, at once."""
    with services.database.write() as session:
        group = lookup.group(session, call, Access.OWNER)
        forge_projects.delete_all(session, call.principal, group, clock=services.clock)
        groups.delete(session, group.id)
    services.announced()
    return Answer({"message": "202 Accepted"}, status=202)


def list_projects(services: Services, call: Call) -> object:
    with services.database.read() as session:
        return found_projects(services, session, call, group_id=lookup.group(session, call).id)


def none(services: Services, call: Call) -> object:
    with services.database.read() as session:
        lookup.group(session, call)
    return listed(call, [], total=0)


def namespaces(services: Services, call: Call) -> object:
    user = call.user
    search = call.params.text("search")
    with services.database.read() as session:
        own = [groups.get(session, user.namespace_id)]
        found, _ = groups.find(session, call.principal, search=search, at_least=Access.GUEST, limit=1000)
    every = [g for g in own if not search or search.lower() in g.path.lower()] + found
    page = [shapes.namespace_detail(group, services.url, user) for group in pages.cut(every, call.page)]
    return listed(call, page, total=len(every))


def namespace(services: Services, call: Call) -> object:
    user = call.user
    with services.database.read() as session:
        found = lookup.namespace(session, call, call.path["id"])
    return shapes.namespace_detail(found, services.url, user)
