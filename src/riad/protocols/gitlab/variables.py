"""CI/CD variables of projects and groups (doc/api/project_level_variables.md, group_level_variables.md)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter
from sqlalchemy.orm import Session

from riad.identity.model import Access
from riad.pipelines import project_variables
from riad.pipelines.project_variables import VariableFields
from riad.protocols.gitlab import lookup, pages
from riad.protocols.gitlab.api import NO_CONTENT, Answer, Api, Call, listed
from riad.protocols.gitlab.shapes.pipelines import variable

if TYPE_CHECKING:
    from riad.protocols.gitlab.pipelines import Services


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    for owner in ("project", "group"):
        many, one = f"/{owner}s/{{id}}/variables", f"/{owner}s/{{id}}/variables/{{key}}"
        api.get(many, partial(list_all, services, owner))
        api.post(many, partial(create, services, owner))
        api.get(one, partial(show, services, owner))
        api.put(one, partial(change, services, owner))
        api.delete(one, partial(remove, services, owner))
    return api.router


def _owner(session: Session, call: Call, owner: str) -> int:
    if owner == "project":
        return lookup.project(session, call, Access.MAINTAINER).id
    return lookup.group(session, call, Access.OWNER).id


def _scope(call: Call) -> str | None:
    """`filter[environment_scope]`, which says which of several is meant."""
    given = call.params.get("filter")
    found = given.get("environment_scope") if isinstance(given, dict) else None
    return str(found) if found is not None else None


def _fields(call: Call, known: VariableFields) -> VariableFields:
    call.params.refuse(masked_and_hidden="mask it; whoever may see it here may also print it in a job")
    values: dict[str, object] = {}
    for name in ("value", "variable_type", "environment_scope", "description"):
        if (text := call.params.text(name)) is not None:
            values[name] = text
    for name in ("protected", "masked", "raw"):
        if (flag := call.params.flag(name)) is not None:
            values[name] = flag
    return replace(known, **values)  # type: ignore[arg-type]


def list_all(services: Services, owner: str, call: Call) -> Answer:
    with services.database.read() as session:
        rows = project_variables.listed(session, owner, _owner(session, call, owner))
    return listed(call, [variable(row) for row in pages.cut(rows, call.page)], total=len(rows))


def show(services: Services, owner: str, call: Call) -> object:
    with services.database.read() as session:
        owner_id = _owner(session, call, owner)
        return variable(project_variables.get(session, owner, owner_id, call.path["key"], scope=_scope(call)))


def create(services: Services, owner: str, call: Call) -> object:
    call.params.require("key", "value")
    fields = _fields(call, VariableFields(call.params.needed("key"), ""))
    with services.database.write() as session:
        return variable(project_variables.create(session, owner, _owner(session, call, owner), fields))


def change(services: Services, owner: str, call: Call) -> object:
    with services.database.write() as session:
        owner_id = _owner(session, call, owner)
        row = project_variables.get(session, owner, owner_id, call.path["key"], scope=_scope(call))
        return variable(project_variables.update(session, row, _fields(call, project_variables.fields_of(row))))


def remove(services: Services, owner: str, call: Call) -> Answer:
    with services.database.write() as session:
        owner_id = _owner(session, call, owner)
        session.delete(project_variables.get(session, owner, owner_id, call.path["key"], scope=_scope(call)))
    return NO_CONTENT
