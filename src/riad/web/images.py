"""A project's images: repositories, tags, and how to push and pull."""

from __future__ import annotations

from fastapi import Response

from riad.identity.model import Access
from riad.kernel.faults import not_found
from riad.registry import listings, manifests, repositories
from riad.registry.names import RepositoryName
from riad.registry.store import RepositoryRow
from riad.web.here import Here, here
from riad.web.pages import Pages
from riad.web.visit import Visit


def add(pages: Pages) -> None:
    root = "/{group}/{name}/-/container_registry"
    pages.get(root)(listed)
    pages.post(root + "/delete")(delete)


def listed(visit: Visit) -> Response:
    at = here(visit)
    found = listings.repositories_of(visit.session, at.project.id)
    tags = {each.id: listings.tags_of(visit.session, each.id) for each in found}
    return visit.render("images.html", here=at, tab="images", repositories=found, tags=tags)


def delete(visit: Visit) -> Response:
    at = here(visit, Access.DEVELOPER)
    name, tag = visit.field("repository"), visit.field("tag")
    with visit.write() as session:
        row = repositories.get(session, RepositoryName.parse(name))
        _require_own(at, row)
        manifests.delete(session, row, tag)
    return visit.go(f"{at.root}/-/container_registry", notice=f"The tag {tag} was removed.")


def _require_own(at: Here, row: RepositoryRow) -> None:
    if row.project_id != at.project.id:
        raise not_found("this image belongs to another project")
