"""The list of projects, and making one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi import Response
from sqlalchemy.orm import Session

from riad.deploy import environments, releases
from riad.deploy.container import service_url
from riad.forge import projects
from riad.forge.model import Project
from riad.forge.projects import Wanted
from riad.identity import groups
from riad.identity.model import Access, Group, Principal, Visibility
from riad.kernel.faults import Fault, not_found
from riad.pipelines.show import PipelineView, list_pipelines
from riad.web.pages import Pages
from riad.web.visit import Visit

PER_PAGE = 20


def add(pages: Pages) -> None:
    pages.get("/")(listed)
    pages.get("/projects/new")(new)
    pages.post("/projects/new")(create)


@dataclass(frozen=True, slots=True)
class Card:
    project: Project
    pipeline: PipelineView | None
    url: str | None


def listed(visit: Visit) -> Response:
    search = visit.query("search").strip()[:100]
    wanted = Wanted(search=search or None, order_by="last_activity_at", archived=None)
    found, total = projects.list_visible(
        visit.session, visit.principal, wanted, offset=(visit.page_number - 1) * PER_PAGE, limit=PER_PAGE
    )
    cards = [_card(visit, project) for project in found]
    return visit.render("projects.html", cards=cards, search=search, total=total, per_page=PER_PAGE)


def _card(visit: Visit, project: Project) -> Card:
    pipelines, _ = list_pipelines(visit.session, project.id, limit=1)
    return Card(project, pipelines[0] if pipelines else None, live_url(visit, project.id))


def live_url(visit: Visit, project_id: int) -> str | None:
    """The address of the project's first environment in service, production before the others."""
    live = [e for e in environments.of_project(visit.session, project_id) if releases.live(visit.session, e.id)]
    live.sort(key=lambda e: e.tier != "production")
    services = visit.services
    return service_url(services.external_url, services.domain, live[0].service) if live else None


def new(visit: Visit) -> Response:
    return _form(visit, None)


def _form(visit: Visit, fault: Fault | None) -> Response:
    known = _namespaces(visit.session, visit.principal)
    status = 200 if fault is None else 422
    return visit.render("project_new.html", status=status, groups=known, fault=fault, form=visit.form)


def _namespaces(session: Session, principal: Principal) -> list[Group]:
    """Where the visitor may make a project: their own namespace first."""
    assert principal.user is not None
    own = groups.get(session, principal.user.namespace_id)
    others = [g for g in groups.list(session, principal) if groups.access(session, principal, g) >= Access.DEVELOPER]
    return [own, *others]


def create(visit: Visit) -> Response:
    services = visit.services
    visit.user  # noqa: B018 -- raises for a stranger
    name = visit.field("name")
    try:
        with visit.write() as session:
            made = projects.create(
                session,
                visit.principal,
                repositories=services.repositories,
                group=_group(session, visit),
                slug=visit.field("slug") or _slug(name),
                name=name or None,
                description=visit.field("description"),
                visibility=Visibility(visit.field("visibility") or "private"),
                clock=services.clock,
            )
    except Fault as fault:
        return _form(visit, fault)
    return visit.go(f"/{made.path}", notice="The project is there. Push to it to begin.")


def _group(session: Session, visit: Visit) -> Group:
    path = visit.field("new_group") or visit.field("group")
    found = groups.by_path(session, path)
    if found is None and visit.field("new_group"):
        return groups.create(session, visit.principal, path=path, clock=visit.services.clock)
    if found is None:
        raise not_found(f"there is no group {path}")
    return found


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.").lower()
