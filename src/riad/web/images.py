"""A project's images: repositories, tags, and how to push and pull."""

from __future__ import annotations

from dataclasses import replace

from fastapi import Response

from riad.identity.model import Access
from riad.kernel.faults import invalid, not_found
from riad.registry import details, listings, manifests, policy, quota, repositories
from riad.registry.names import RepositoryName
from riad.registry.policy import Rules
from riad.registry.sbom import advisories
from riad.registry.sbom.contents import Contents, contents
from riad.registry.sbom.packages import by_ecosystem
from riad.registry.store import RepositoryRow
from riad.web.here import Here, here
from riad.web.pages import Pages
from riad.web.visit import Visit

_MEGABYTE = 1_000_000


def add(pages: Pages) -> None:
    root = "/{group}/{name}/-/container_registry"
    pages.get(root)(listed)
    pages.post(root + "/delete")(delete)
    pages.get(root + "/image")(image)
    pages.post(root + "/policy")(change_policy)


def listed(visit: Visit) -> Response:
    at = here(visit)
    found = listings.repositories_of(visit.session, at.project.id)
    tags = {each.id: listings.tags_of(visit.session, each.id) for each in found}
    return visit.render(
        "images.html",
        here=at,
        tab="images",
        repositories=found,
        tags=tags,
        policy=policy.of_project(visit.session, at.project.id),
        used=quota.usage(visit.session, at.project.id),
    )


def image(visit: Visit) -> Response:
    """One tag: what it is made of, who signed it, what is known to be wrong with it."""
    at = here(visit)
    row = repositories.get(visit.session, RepositoryName.parse(visit.request.query_params.get("repository", "")))
    _require_own(at, row)
    store, tag = visit.services.blobs, visit.request.query_params.get("tag", "")
    shown = details.of(visit.session, store, row, tag)
    known = advisories.load(visit.services.advisories)
    found = contents(store, shown.info) if shown.is_image else Contents(())
    return visit.render(
        "image.html",
        here=at,
        tab="images",
        repository=row,
        tag=tag,
        shown=shown,
        packages=found.packages,
        counted=by_ecosystem(found.packages),
        unread=found.unread,
        known=known,
        vulnerabilities=known.of(found.packages),
    )


def change_policy(visit: Visit) -> Response:
    at = here(visit, Access.MAINTAINER)
    before = policy.of_project(visit.session, at.project.id)
    rules = Rules(
        visit.field("delete") or ".*",
        visit.field("keep"),
        _number(visit.field("keep_n"), "how many to keep"),
        visit.field("older_than") or None,
    )
    megabytes = _number(visit.field("quota"), "the quota")
    changed = replace(
        before,
        quota=megabytes * _MEGABYTE if megabytes is not None else None,
        enabled=bool(visit.field("enabled")),
        rules=rules,
        protected=tuple(visit.field("protected").split()),
    )
    with visit.write() as session:
        policy.set_policy(session, at.project.id, changed, clock=visit.services.clock)
    return visit.go(f"{at.root}/-/container_registry", notice="The rules were saved.")


def _number(text: str, what: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise invalid(f"{what}: a number, or nothing")
    return int(text)


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
