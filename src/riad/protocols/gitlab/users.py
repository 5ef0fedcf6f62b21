"""`/user` and `/users`."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter

from riad.forge import projects
from riad.identity import permissions, users
from riad.identity.model import Scope, User
from riad.kernel.faults import conflict, denied, unauthenticated
from riad.protocols.gitlab import errors, lookup
from riad.protocols.gitlab.api import NO_CONTENT, Answer, Api, Call, listed
from riad.protocols.gitlab.services import Services
from riad.protocols.gitlab.shapes import users as shapes

UNSUPPORTED = {
    "reset_password": "Riad sends no mail; give a password, or force_random_password",
    "external": "every user is internal",
    "auditor": "there is no such role",
    "provider": "there is no sign-in by another provider yet",
    "extern_uid": "there is no sign-in by another provider yet",
    "projects_limit": "there is no limit",
}


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    api.get("/user", partial(current, services), scope=Scope.READ_USER)
    api.get("/users", partial(find, services), scope=Scope.READ_USER)
    api.post("/users", partial(create, services))
    api.get("/users/{user_id}", partial(show, services), scope=Scope.READ_USER)
    api.put("/users/{user_id}", partial(change, services))
    api.delete("/users/{user_id}", partial(remove, services))
    api.post("/users/{user_id}/block", partial(block, services))
    api.post("/users/{user_id}/unblock", partial(unblock, services))
    return api.router


def current(services: Services, call: Call) -> object:
    return shapes.full(call.user, services.url)


def _seen(services: Services, call: Call, user: User) -> object:
    if call.principal.is_admin:
        return shapes.full(user, services.url, for_admin=True)
    return shapes.public(user, services.url)


def find(services: Services, call: Call) -> object:
    username = call.params.text("username")
    if call.principal.user is None and not username:
        raise denied("403 Forbidden")
    with services.database.read() as session:
        if username:
            one = users.by_username(session, username)
            found, total = ([one] if one is not None else []), int(one is not None)
        else:
            found, total = users.find(
                session,
                search=call.params.text("search"),
                blocked=_blocked(call),
                offset=call.page.offset,
                limit=call.page.size,
            )
    if call.principal.is_admin:
        return listed(call, [shapes.full(u, services.url, for_admin=True) for u in found], total=total)
    return listed(call, [shapes.basic(user, services.url) for user in found], total=total)


def _blocked(call: Call) -> bool | None:
    if call.params.on("blocked"):
        return True
    return False if call.params.on("active") else None


def show(services: Services, call: Call) -> object:
    if call.principal.user is None:
        raise unauthenticated("401 Unauthorized")
    with services.database.read() as session:
        return _seen(services, call, lookup.user(session, call))


def create(services: Services, call: Call) -> object:
    permissions.require_admin(call.principal)
    params = call.params
    params.require("email", "name", "username")
    params.refuse(**UNSUPPORTED)
    password = params.text("password")
    if not password and not params.on("force_random_password"):
        raise errors.BadParameters(
            "password, reset_password, force_random_password are missing, at least one is needed"
        )
    with services.database.write() as session:
        user = users.create(
            session,
            username=params.needed("username"),
            name=params.needed("name"),
            email=params.needed("email"),
            password=password or None,
            is_admin=params.on("admin"),
            clock=services.clock,
        )
    return shapes.full(user, services.url, for_admin=True)


def change(services: Services, call: Call) -> object:
    permissions.require_admin(call.principal)
    params = call.params
    params.refuse(username="a user's name is in the addresses of their projects", **UNSUPPORTED)
    with services.database.write() as session:
        user = lookup.user(session, call)
        user = users.rename(session, user.id, name=params.text("name"), email=params.text("email"))
        admin, password = params.flag("admin"), params.text("password")
        if admin is not None:
            user = users.set_admin(session, user.id, admin)
        if password:
            users.change_password(session, user.id, password)
    return shapes.full(user, services.url, for_admin=True)


def remove(services: Services, call: Call) -> object:
    permissions.require_admin(call.principal)
    with services.database.write() as session:
        user = lookup.user(session, call)
        if projects.count(session, group_id=user.namespace_id):
            raise conflict(f"{user.username} still has projects; delete them first")
        users.delete(session, user.id)
    return NO_CONTENT


def block(services: Services, call: Call) -> object:
    permissions.require_admin(call.principal)
    with services.database.write() as session:
        users.block(session, lookup.user(session, call).id)
    return Answer(body=True, status=201)


def unblock(services: Services, call: Call) -> object:
    permissions.require_admin(call.principal)
    with services.database.write() as session:
        users.unblock(session, lookup.user(session, call).id)
    return Answer(body=True, status=201)
