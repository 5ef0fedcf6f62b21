"""From the `:id` of a path to a project, group or user that the caller may see."""

from __future__ import annotations

from sqlalchemy.orm import Session

from riad.forge import projects
from riad.forge.model import Project
from riad.identity import groups, permissions, users
from riad.identity.model import Access, Group, User
from riad.kernel.faults import not_found
from riad.protocols.gitlab.api import Call
from riad.protocols.gitlab.params import whole


def project(session: Session, call: Call, wanted: Access = Access.GUEST) -> Project:
    """By number or GROUP/NAME. Raises NOT_FOUND also for what the caller may not see, as GitLab does; DENIED below
    `wanted`."""
    given = call.path["id"]
    number = whole(given)
    found = projects.seen(session, call.principal, number if number is not None else given)
    permissions.require(session, call.principal, found, wanted)
    return found


def group(session: Session, call: Call, wanted: Access = Access.NONE) -> Group:
    """By number or path; a user's namespace is none."""
    given = call.path["id"]
    number = whole(given)
    found = groups.get(session, number) if number is not None else groups.by_path(session, given)
    if found is None or found.owner_id is not None:
        raise not_found("404 Group Not Found")
    groups.require(session, call.principal, found, wanted)
    return found


def namespace(session: Session, call: Call, given: str) -> Group:
    """A group or a user's namespace, by number or path."""
    number = whole(given)
    found = groups.get(session, number) if number is not None else groups.by_path(session, given)
    if found is None or not groups.visible(session, call.principal, found):
        raise not_found("404 Namespace Not Found")
    return found


def user(session: Session, call: Call, *, name: str = "user_id") -> User:
    """By number."""
    number = whole(call.path[name])
    if number is None:
        raise not_found("404 User Not Found")
    return users.get(session, number)
