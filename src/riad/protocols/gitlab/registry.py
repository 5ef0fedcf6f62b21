"""The container registry of GitLab's API v4 (doc/api/container_registry.md), and Riad's own quota and rules.

What GitLab does later in the background (202) is done here at once; the bytes go with the next garbage collection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session

from riad.forge import projects
from riad.forge.model import Project
from riad.identity import permissions
from riad.identity.model import Access
from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import not_found
from riad.protocols.gitlab import errors, lookup, pages
from riad.protocols.gitlab.api import Answer, Api, Call, listed
from riad.protocols.gitlab.params import Params
from riad.protocols.gitlab.shapes.moments import moment
from riad.registry import details, listings, manifests, policy, quota, replication, repositories
from riad.registry.faults import Refusal
from riad.registry.listings import TagInfo
from riad.registry.manifests import ManifestInfo
from riad.registry.policy import Policy, Rules
from riad.registry.sbom import advisories, spdx
from riad.registry.sbom.contents import contents
from riad.registry.store import RepositoryRow

RIAD_PREFIX = "/api/riad/v1"


@dataclass(frozen=True, slots=True)
class Services:
    """`host` is the registry's name in references; `advisories` a file or folder in OSV's format."""

    database: Database
    clock: Clock
    blobs: BlobStore
    host: str
    advisories: Path | None = None


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    one = "/projects/{id}/registry/repositories/{repository_id}"
    api.get("/projects/{id}/registry/repositories", partial(list_repositories, services))
    api.get("/groups/{id}/registry/repositories", partial(list_of_group, services))
    api.get("/registry/repositories/{repository_id}", partial(show_repository, services))
    api.delete(one, partial(delete_repository, services))
    api.get(f"{one}/tags", partial(list_tags, services))
    api.delete(f"{one}/tags", partial(delete_tags, services))
    api.get(f"{one}/tags/{{tag}}", partial(show_tag, services))
    api.delete(f"{one}/tags/{{tag}}", partial(delete_tag, services))
    own = Api(services.database, services.clock, prefix=RIAD_PREFIX)
    own.get("/projects/{id}/registry", partial(show_policy, services))
    own.put("/projects/{id}/registry", partial(change_policy, services))
    tag = f"{one}/tags/{{tag}}"
    own.get(f"{tag}/sbom", partial(show_sbom, services))
    own.get(f"{tag}/vulnerabilities", partial(show_vulnerabilities, services))
    own.get("/projects/{id}/registry/replicas", partial(list_replicas, services))
    own.post("/projects/{id}/registry/replicas", partial(add_replica, services))
    own.delete("/projects/{id}/registry/replicas/{replica_id}", partial(delete_replica, services))
    both = APIRouter()
    both.include_router(api.router)
    both.include_router(own.router)
    return both


def list_repositories(services: Services, call: Call) -> Answer:
    with services.database.read() as session:
        project = lookup.project(session, call, Access.REPORTER)
        found = listings.repositories_of(session, project.id)
        shown = [_repository(services, session, call, project, one.id) for one in pages.cut(found, call.page)]
    return listed(call, shown, total=len(found))


def list_of_group(services: Services, call: Call) -> Answer:
    with services.database.read() as session:
        group = lookup.group(session, call)
        every = listings.repositories_of_group(session, projects.ids_of_group(session, group.id))
        known = projects.by_id(session, {one.project_id for one in every})
        found = [one for one in every if _may_read(session, call, known[one.project_id])]
        shown = [
            _repository(services, session, call, known[one.project_id], one.id) for one in pages.cut(found, call.page)
        ]
    return listed(call, shown, total=len(found))


def show_repository(services: Services, call: Call) -> Mapping[str, Any]:
    with services.database.read() as session:
        row = session.get(RepositoryRow, call.number("repository_id", what="repository"))
        project = projects.by_id(session, [row.project_id]).get(row.project_id) if row is not None else None
        if row is None or project is None or not _may_read(session, call, project):
            raise not_found("404 Not found")
        shown = _repository(services, session, call, project, row.id)
        if call.params.on("size"):
            shown["size"] = quota.usage_of_repository(session, row.id)
    return shown


def delete_repository(services: Services, call: Call) -> Answer:
    with services.database.write() as session:
        _, row = _addressed(session, call, Access.MAINTAINER)
        repositories.delete(session, row)
    return Answer(None, status=202)


def list_tags(services: Services, call: Call) -> Answer:
    with services.database.read() as session:
        _, row = _addressed(session, call, Access.REPORTER)
        found = sorted(listings.tags_of(session, row.id), key=lambda tag: tag.name)
        shown = [_tag(services, row, tag) for tag in pages.cut(found, call.page)]
    return listed(call, shown, total=len(found))


def show_tag(services: Services, call: Call) -> Mapping[str, Any]:
    with services.database.read() as session:
        _, row = _addressed(session, call, Access.REPORTER)
        tag = _named(session, row, call.path["tag"])
        info = manifests.resolve(session, row, tag.name)
    revision = (info.config_digest or info.digest).partition(":")[2]
    return _tag(services, row, tag) | {
        "revision": revision,
        "short_revision": revision[:9],
        "digest": tag.digest,
        "created_at": moment(tag.updated_at),
        "total_size": tag.image_size,
        "media_type": tag.media_type,
    }


def delete_tag(services: Services, call: Call) -> Answer:
    with services.database.write() as session:
        project, row = _addressed(session, call, Access.DEVELOPER)
        tag = _named(session, row, call.path["tag"])
        if policy.of_project(session, project.id).protects(tag.name):
            permissions.require(session, call.principal, project, Access.MAINTAINER)
        manifests.delete(session, row, tag.name)
    return Answer(None, status=200)


def delete_tags(services: Services, call: Call) -> Answer:
    """In bulk, by the rules of a clean-up policy."""
    params = call.params
    delete = params.text("name_regex_delete") or params.text("name_regex")
    if not delete:
        raise errors.BadParameters("name_regex_delete is missing, name_regex is missing")
    rules = Rules(delete, params.text("name_regex_keep") or "", params.number("keep_n"), params.text("older_than"))
    with services.database.write() as session:
        _, row = _addressed(session, call, Access.MAINTAINER)
        policy.check(Policy(rules=rules))
        policy.clean(session, row, rules, now=services.clock.now())
    return Answer(None, status=202)


def show_policy(services: Services, call: Call) -> Mapping[str, Any]:
    with services.database.read() as session:
        project = lookup.project(session, call, Access.REPORTER)
        return _policy(session, project.id)


def change_policy(services: Services, call: Call) -> Mapping[str, Any]:
    with services.database.write() as session:
        project = lookup.project(session, call, Access.MAINTAINER)
        before = policy.of_project(session, project.id)
        policy.set_policy(session, project.id, _changed(before, call.params), clock=services.clock)
        return _policy(session, project.id)


def _changed(before: Policy, params: Params) -> Policy:
    found = changed_rules(before, params)
    if "quota" in params:
        found = replace(found, quota=params.number("quota"))
    if "protected_tags" in params:
        found = replace(found, protected=tuple(params.texts("protected_tags") or ()))
    return found


def changed_rules(before: Policy, given: Params) -> Policy:
    """GitLab's `container_expiration_policy_attributes` over what is set; what is left out stays."""
    rules = before.rules
    if "name_regex_delete" in given or "name_regex" in given:
        rules = replace(rules, delete=given.text("name_regex_delete") or given.text("name_regex") or ".*")
    if "name_regex_keep" in given:
        rules = replace(rules, keep=given.text("name_regex_keep") or "")
    if "keep_n" in given:
        rules = replace(rules, keep_n=given.number("keep_n"))
    if "older_than" in given:
        rules = replace(rules, older_than=given.text("older_than"))
    enabled = given.flag("enabled")
    return replace(
        before,
        rules=rules,
        enabled=before.enabled if enabled is None else enabled,
        cadence=given.text("cadence") or before.cadence,
    )


def expiration(found: Policy) -> dict[str, Any]:
    """As `container_expiration_policy` of a project."""
    return {
        "cadence": found.cadence,
        "enabled": found.enabled,
        "keep_n": found.rules.keep_n,
        "older_than": found.rules.older_than,
        "name_regex": found.rules.delete,
        "name_regex_keep": found.rules.keep or None,
        "next_run_at": moment(found.next_run) if found.next_run else None,
    }


def show_sbom(services: Services, call: Call) -> Answer:
    """An SPDX document of the packages of an image (of an index: of its first)."""
    name, info = _image(services, call)
    found = contents(services.blobs, info)
    body = spdx.document(name, info.digest, found.packages, created=info.pushed_at)
    return Answer(json.dumps(body).encode(), media_type="application/spdx+json")


def show_vulnerabilities(services: Services, call: Call) -> Mapping[str, Any]:
    """What the administrator's advisories say of an image's packages."""
    _, info = _image(services, call)
    found, known = contents(services.blobs, info), advisories.load(services.advisories)
    return {
        "digest": info.digest,
        "packages": len(found.packages),
        "unread": list(found.unread),
        "advisories": known.count,
        "problems": list(known.problems),
        "vulnerabilities": [_vulnerability(one) for one in known.of(found.packages)],
    }


def _image(services: Services, call: Call) -> tuple[str, ManifestInfo]:
    with services.database.read() as session:
        _, row = _addressed(session, call, Access.REPORTER)
        tag = _named(session, row, call.path["tag"])
        return f"{services.host}/{row.name}:{tag.name}", details.one_platform(session, services.blobs, row, tag.name)


def _vulnerability(found: advisories.Vulnerability) -> dict[str, Any]:
    package = found.package
    return {
        "id": found.advisory.id,
        "aliases": list(found.advisory.aliases),
        "severity": found.advisory.severity,
        "summary": found.advisory.summary,
        "package": {"ecosystem": package.ecosystem, "name": package.name, "version": package.version},
        "path": package.path,
        "fixed_in": found.fixed or None,
    }


def list_replicas(services: Services, call: Call) -> Answer:
    with services.database.read() as session:
        project = lookup.project(session, call, Access.MAINTAINER)
        found = replication.of_project(session, project.id)
    return listed(call, [_replica(one) for one in pages.cut(found, call.page)], total=len(found))


def add_replica(services: Services, call: Call) -> Mapping[str, Any]:
    params = call.params
    with services.database.write() as session:
        project = lookup.project(session, call, Access.MAINTAINER)
        made = replication.add(
            session,
            project.id,
            target=params.needed("target"),
            username=params.text("username") or "",
            password=params.text("password") or "",
            tags=params.text("tags") or ".*",
        )
    return _replica(made)


def delete_replica(services: Services, call: Call) -> Answer:
    with services.database.write() as session:
        project = lookup.project(session, call, Access.MAINTAINER)
        replication.remove(session, project.id, call.number("replica_id", what="replica"))
    return Answer(status=204)


def _replica(found: replication.Replica) -> dict[str, Any]:
    return {
        "id": found.id,
        "target": found.target,
        "username": found.username,
        "tags": found.tags,
        "copied_at": moment(found.copied_at) if found.copied_at else None,
        "error": found.error,
    }


def _policy(session: Session, project_id: int) -> dict[str, Any]:
    found = policy.of_project(session, project_id)
    return expiration(found) | {
        "quota": found.quota,
        "used": quota.usage(session, project_id),
        "protected_tags": list(found.protected),
    }


def _addressed(session: Session, call: Call, wanted: Access) -> tuple[Project, RepositoryRow]:
    project = lookup.project(session, call, wanted)
    row = session.get(RepositoryRow, call.number("repository_id", what="repository"))
    if row is None or row.project_id != project.id:
        raise not_found("404 Not found")
    return project, row


def _named(session: Session, row: RepositoryRow, name: str) -> TagInfo:
    try:
        manifests.resolve(session, row, name)
    except Refusal:
        raise not_found("404 Tag Not Found") from None
    return next(tag for tag in listings.tags_of(session, row.id) if tag.name == name)


def _may_read(session: Session, call: Call, project: Project) -> bool:
    return permissions.access(session, call.principal, project) >= Access.REPORTER


def _repository(
    services: Services, session: Session, call: Call, project: Project, repository_id: int
) -> dict[str, Any]:
    row = session.get_one(RepositoryRow, repository_id)
    shown: dict[str, Any] = {
        "id": row.id,
        "name": row.name.removeprefix(project.path.lower()).lstrip("/"),
        "path": row.name,
        "project_id": row.project_id,
        "location": f"{services.host}/{row.name}",
        "created_at": moment(row.created_at),
        "cleanup_policy_started_at": None,
        "status": None,
    }
    if call.params.on("tags") or call.params.on("tags_count"):
        tags = sorted(listings.tags_of(session, row.id), key=lambda tag: tag.name)
        shown["tags_count"] = len(tags)
        if call.params.on("tags"):
            shown["tags"] = _tags(services, row, tags)
    return shown


def _tags(services: Services, row: RepositoryRow, tags: Iterable[TagInfo]) -> list[dict[str, Any]]:
    return [_tag(services, row, tag) for tag in tags]


def _tag(services: Services, row: RepositoryRow, tag: TagInfo) -> dict[str, Any]:
    path = f"{row.name}:{tag.name}"
    return {"name": tag.name, "path": path, "location": f"{services.host}/{path}"}
