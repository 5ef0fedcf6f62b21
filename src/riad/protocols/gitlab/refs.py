"""`/projects/:id/repository/branches` and `…/tags`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter

from riad.forge.repository import Repository
from riad.kernel.faults import Fault, Kind, invalid, not_found
from riad.protocols.gitlab import errors, pages
from riad.protocols.gitlab.api import NO_CONTENT, Api, Call, listed
from riad.protocols.gitlab.opened import editing, reading
from riad.protocols.gitlab.services import Services
from riad.protocols.gitlab.shapes import commits as shapes

BASE = "/projects/{id}/repository"


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    api.get(f"{BASE}/branches", partial(branches, services))
    api.post(f"{BASE}/branches", partial(create_branch, services))
    api.get(f"{BASE}/branches/{{name}}", partial(branch, services))
    api.delete(f"{BASE}/branches/{{name}}", partial(delete_branch, services))
    api.get(f"{BASE}/tags", partial(tags, services))
    api.post(f"{BASE}/tags", partial(create_tag, services))
    api.get(f"{BASE}/tags/{{name}}", partial(tag, services))
    api.delete(f"{BASE}/tags/{{name}}", partial(delete_tag, services))
    return api.router


def _found(name: str, search: str | None) -> bool:
    """GitLab's search: `^begins`, `ends$`, or holds."""
    if not search:
        return True
    text, at = search.strip("^$").lower(), name.lower()
    if search.startswith("^") and not at.startswith(text):
        return False
    if search.endswith("$") and not at.endswith(text):
        return False
    return text in at


def branches(services: Services, call: Call) -> object:
    call.params.refuse(regex="use search")
    opened = reading(services, call)
    found = [b for b in opened.repository.branches() if _found(b.name, call.params.text("search"))]
    if (call.params.text("sort") or "").startswith("updated"):
        found.sort(key=lambda b: b.commit.committer.at, reverse=call.params.text("sort") == "updated_desc")
    shown = [
        shapes.branch(branch, opened.project, services.url, can_push=opened.can_push)
        for branch in pages.cut(found, call.page)
    ]
    return listed(call, shown, total=len(found))


def branch(services: Services, call: Call) -> object:
    opened = reading(services, call)
    found = opened.repository.branch(call.path["name"])
    if found is None:
        raise not_found("404 Branch Not Found")
    return shapes.branch(found, opened.project, services.url, can_push=opened.can_push)


def create_branch(services: Services, call: Call) -> object:
    call.params.require("branch", "ref")
    editor = editing(services, call)
    name = call.params.needed("branch")
    _as_invalid(lambda: editor.create_branch(name, call.params.needed("ref")))
    found = editor.repository.branch(name)
    assert found is not None
    return shapes.branch(found, editor.project, services.url, can_push=True)


def _as_invalid(act: Callable[[], object]) -> None:
    """What exists already is a 400 in GitLab."""
    try:
        act()
    except Fault as fault:
        raise (invalid(fault.message) if fault.kind is Kind.CONFLICT else fault) from None


def delete_branch(services: Services, call: Call) -> object:
    editing(services, call).delete_branch(call.path["name"])
    return NO_CONTENT


def tags(services: Services, call: Call) -> object:
    order, ascending = call.params.text("order_by") or "updated", call.params.text("sort") == "asc"
    if order not in {"name", "updated"}:
        raise errors.BadParameters("order_by does not have a valid value")
    opened = reading(services, call)
    found = [tag for tag in opened.repository.tags() if _found(tag.name, call.params.text("search"))]
    if order == "name":
        found.sort(key=lambda tag: tag.name, reverse=True)
    if ascending:
        found.reverse()
    shown = [shapes.tag(tag, opened.project, services.url) for tag in pages.cut(found, call.page)]
    return listed(call, shown, total=len(found))


def _tag(services: Services, call: Call, repository: Repository, name: str) -> object:
    found = repository.tag(name)
    if found is None:
        raise not_found("404 Tag Not Found")
    return shapes.tag(found, reading(services, call).project, services.url)


def tag(services: Services, call: Call) -> object:
    return _tag(services, call, reading(services, call).repository, call.path["name"])


def create_tag(services: Services, call: Call) -> object:
    call.params.require("tag_name", "ref")
    call.params.refuse(release_description="there are no releases of this kind yet")
    editor = editing(services, call)
    name, message = call.params.needed("tag_name"), call.params.text("message") or ""
    _as_invalid(lambda: editor.create_tag(name, call.params.needed("ref"), message=message))
    return _tag(services, call, editor.repository, name)


def delete_tag(services: Services, call: Call) -> object:
    editing(services, call).delete_tag(call.path["name"])
    return NO_CONTENT
