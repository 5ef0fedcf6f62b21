"""A project's settings: what it says of itself, who belongs to it, the variables of its jobs, its end."""

from __future__ import annotations

from fastapi import Response

from riad.forge import projects
from riad.identity import groups, members, users
from riad.identity.model import Access, Visibility
from riad.kernel.faults import denied, invalid, not_found
from riad.pipelines import project_variables
from riad.pipelines.project_variables import VariableFields
from riad.web.here import Here, here
from riad.web.pages import Pages
from riad.web.visit import Visit


def add(pages: Pages) -> None:
    root = "/{group}/{name}/-/settings"
    pages.get(root)(show)
    pages.post(root)(change)
    pages.post(root + "/members")(set_member)
    pages.post(root + "/members/remove")(remove_member)
    pages.post(root + "/variables")(set_variable)
    pages.post(root + "/variables/remove")(remove_variable)
    pages.post(root + "/delete")(delete)


ROLES = (Access.GUEST, Access.REPORTER, Access.DEVELOPER, Access.MAINTAINER, Access.OWNER)


def show(visit: Visit) -> Response:
    at = here(visit, Access.MAINTAINER)
    own = {m.user.id for m in members.list(visit.session, source="project", source_id=at.project.id)}
    people = members.all_of_project(visit.session, project_id=at.project.id, group_id=at.project.group_id)
    return visit.render(
        "settings.html",
        here=at,
        tab="settings",
        people=sorted(people, key=lambda m: (-m.access, m.user.username)),
        own=own,
        roles=[role for role in ROLES if role <= at.access],
        variables=project_variables.listed(visit.session, "project", at.project.id),
        branches=[branch.name for branch in at.repository().branches()],
        group=groups.get(visit.session, at.project.group_id),
    )


def change(visit: Visit) -> Response:
    at = here(visit, Access.MAINTAINER)
    branch = visit.field("default_branch")
    visibility = visit.field("visibility")
    with visit.write() as session:
        projects.update(
            session,
            visit.principal,
            at.project,
            name=visit.field("name") or None,
            description=visit.field("description"),
            visibility=Visibility(visibility) if visibility in set(Visibility) else None,
            default_branch=branch or None,
        )
    if branch and branch != at.project.default_branch:
        at.repository().set_default_branch(branch)
    return _back(visit, at, "The changes were saved.")


def set_member(visit: Visit) -> Response:
    at = here(visit, Access.MAINTAINER)
    found = users.by_username(visit.session, visit.field("username").removeprefix("@"))
    if found is None:
        raise not_found(f"there is no user {visit.field('username')[:80]}; an administrator can add one")
    role = next((role for role in ROLES if str(int(role)) == visit.field("access")), None)
    if role is None:
        raise invalid("choose a role")
    _require_above(visit, at, found.id, role)
    with visit.write() as session:
        members.set(
            session,
            source="project",
            source_id=at.project.id,
            user_id=found.id,
            access=role,
            clock=visit.services.clock,
        )
    return _back(visit, at, f"{found.username} is {role.name.lower()} now.")


def remove_member(visit: Visit) -> Response:
    at = here(visit, Access.MAINTAINER)
    user_id = visit.field("user_id")
    if not user_id.isascii() or not user_id.isdigit():
        raise invalid("choose a member")
    _require_above(visit, at, int(user_id), Access.NONE)
    with visit.write() as session:
        members.remove(session, source="project", source_id=at.project.id, user_id=int(user_id))
    return _back(visit, at, "The member was removed.")


def _require_above(visit: Visit, at: Here, user_id: int, role: Access) -> None:
    """Nobody gives a role above their own, or takes one away that is above it."""
    held = members.access_of(visit.session, source="project", source_id=at.project.id, user_id=user_id)
    if max(role, held) > at.access:
        raise denied("this takes an owner of the project")


def set_variable(visit: Visit) -> Response:
    at = here(visit, Access.MAINTAINER)
    fields = VariableFields(
        key=visit.field("key"),
        value=visit.form.get("value", "").replace("\r\n", "\n"),
        variable_type="file" if visit.field("file") else "env_var",
        protected=bool(visit.field("protected")),
        masked=bool(visit.field("masked")),
    )
    known = [v for v in project_variables.listed(visit.session, "project", at.project.id) if v.key == fields.key]
    with visit.write() as session:
        if known:
            row = project_variables.get(session, "project", at.project.id, fields.key, scope="*")
            project_variables.update(session, row, fields)
        else:
            project_variables.create(session, "project", at.project.id, fields)
    return _back(visit, at, f"The variable {fields.key} was saved.")


def remove_variable(visit: Visit) -> Response:
    at = here(visit, Access.MAINTAINER)
    with visit.write() as session:
        session.delete(
            project_variables.get(session, "project", at.project.id, visit.field("key"), scope=visit.field("scope"))
        )
    return _back(visit, at, f"The variable {visit.field('key')} was removed.")


def delete(visit: Visit) -> Response:
    at = here(visit, Access.OWNER)
    if visit.field("confirm") != at.project.path:
        raise invalid(f"to delete the project, type its path {at.project.path}")
    with visit.write() as session:
        projects.delete(session, visit.principal, at.project, clock=visit.services.clock)
    return visit.go("/", notice=f"The project {at.project.path} was deleted.")


def _back(visit: Visit, at: Here, notice: str) -> Response:
    return visit.go(f"{at.root}/-/settings", notice=notice)
