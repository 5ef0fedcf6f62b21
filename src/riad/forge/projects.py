"""What is done with projects. Who may do it is decided here; where it is asked for is a protocol's matter."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, false, func, or_, select, true
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from riad.forge.model import Project
from riad.forge.paths import ProjectPath
from riad.forge.repositories import Repositories
from riad.forge.store import ProjectRow, PushRow, RefRow
from riad.identity import groups, members, names, permissions
from riad.identity.model import Access, Group, Kind, Principal, Visibility
from riad.identity.store import GroupRow, MemberRow
from riad.kernel.clock import Clock
from riad.kernel.faults import Finding, conflict, denied, invalid, not_found
from riad.kernel.outbox import emit

DELETED = "forge.project_deleted"
"""`{project_id, path, storage}`: everybody who keeps something of the project lets go of it."""


def create(
    session: Session,
    actor: Principal,
    *,
    repositories: Repositories,
    group: Group,
    slug: str,
    name: str | None = None,
    description: str = "",
    visibility: Visibility = Visibility.PRIVATE,
    default_branch: str = "main",
    clock: Clock,
) -> Project:
    """With an empty repository. Announces `forge.project_created {project_id, user_id}`.

    Raises INVALID for the path or branch, CONFLICT where the path is taken, DENIED below developer in the group.
    """
    groups.require(session, actor, group, Access.DEVELOPER)
    good = names.part(slug, what="path")
    check_branch(default_branch)
    _refuse_taken(session, group, good)
    now = clock.now()
    row = ProjectRow(
        group_id=group.id,
        slug=good,
        slug_key=good.lower(),
        name=name or good,
        description=description,
        visibility=visibility.value,
        default_branch=default_branch,
        creator_id=actor.user.id if actor.user is not None else None,
        created_at=now,
        last_activity_at=now,
        storage=secrets.token_hex(16),
    )
    session.add(row)
    session.flush()
    repositories.create(row.storage, default_branch=default_branch)
    emit(session, "forge.project_created", {"project_id": row.id, "user_id": row.creator_id}, clock=clock)
    return _value(row, group.path)


def _refuse_taken(session: Session, group: Group, slug: str) -> None:
    taken = select(ProjectRow.id).where(ProjectRow.group_id == group.id, ProjectRow.slug_key == slug.lower())
    if session.scalar(taken) is not None:
        raise conflict(f"project {group.path}/{slug} has already been taken")


def check_branch(name: str) -> str:
    """Raises INVALID unless git would take `name` for a branch (git-check-ref-format(1))."""
    parts = name.split("/")
    bad = (
        not name
        or name == "@"
        or len(name) > 200
        or name.startswith("-")
        or name.endswith(".")
        or ".." in name
        or "@{" in name
        or any(c in " ~^:?*[\\\x7f" or ord(c) < 32 for c in name)
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )
    if bad:
        raise invalid(f"{name[:80]!r} is not a branch name that git takes", Finding("branch", "is not a branch name"))
    return name


def get(session: Session, project_id: int) -> Project:
    """Raises NOT_FOUND."""
    found = _one(session, ProjectRow.id == project_id)
    if found is None:
        raise missing()
    return found


def by_path(session: Session, path: str) -> Project | None:
    """By GROUP/NAME, in any case. None also for what is no project path."""
    group, slash, slug = path.strip("/").lower().partition("/")
    if not slash or "\0" in path:  # PostgreSQL refuses it in a question
        return None
    return _one(session, GroupRow.path_key == group, ProjectRow.slug_key == slug)


def by_id(session: Session, project_ids: Iterable[int]) -> dict[int, Project]:
    wanted = set(project_ids)
    rows = session.execute(_select().where(ProjectRow.id.in_(wanted))) if wanted else ()
    return {row.id: _value(row, path) for row, path in rows}


def ids_of_group(session: Session, group_id: int) -> list[int]:
    """The projects directly in a group."""
    return list(session.scalars(select(ProjectRow.id).where(ProjectRow.group_id == group_id).order_by(ProjectRow.id)))


def seen(session: Session, principal: Principal, reference: int | str) -> Project:
    """The project with this id or path, if the principal may see it. Raises NOT_FOUND either way otherwise."""
    found = _one(session, ProjectRow.id == reference) if isinstance(reference, int) else by_path(session, reference)
    if found is None or permissions.access(session, principal, found) is Access.NONE:
        raise missing()
    return found


def missing() -> Exception:
    return not_found("404 Project Not Found")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is narrowed to; None leaves a thing open."""

    search: str | None = None
    group_id: int | None = None
    visibility: Visibility | None = None
    archived: bool | None = None
    owned: bool = False
    membership: bool = False
    at_least: Access | None = None
    """Only those where the principal is a member with this access."""
    order_by: str = "created_at"
    ascending: bool = False
    after_id: int | None = None
    """Keyset pagination by id: what comes after this one."""


def list_visible(
    session: Session,
    principal: Principal,
    wanted: Wanted = Wanted(),
    *,
    offset: int = 0,
    limit: int = 100,
) -> tuple[list[Project], int]:
    """The projects that the principal may see, and how many there are in all."""
    query = _select().where(_may_see(principal), *_narrowed(principal, wanted))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    column = _ORDERS.get(wanted.order_by)
    if column is None:
        raise invalid("order_by does not have a valid value", Finding("order_by", "does not have a valid value"))
    orders = [column, ProjectRow.id] if wanted.ascending else [column.desc(), ProjectRow.id.desc()]
    if wanted.after_id is not None:
        after = ProjectRow.id > wanted.after_id if wanted.ascending else ProjectRow.id < wanted.after_id
        query = query.where(after)
    rows = session.execute(query.order_by(*orders).offset(offset).limit(limit))
    return [_value(row, path) for row, path in rows], total


_ORDERS = {
    "id": ProjectRow.id,
    "created_at": ProjectRow.created_at,
    "last_activity_at": ProjectRow.last_activity_at,
    "updated_at": ProjectRow.last_activity_at,
    "name": func.lower(ProjectRow.name),
    "path": ProjectRow.slug_key,
}


def _member_of(user_id: int, at_least: Access) -> ColumnElement[bool]:
    def sources(kind: str) -> Select[int]:
        return select(MemberRow.source_id).where(
            MemberRow.source == kind, MemberRow.user_id == user_id, MemberRow.access >= int(at_least)
        )

    return or_(
        ProjectRow.id.in_(sources("project")),
        ProjectRow.group_id.in_(sources("group")),
        GroupRow.owner_id == user_id,
    )


def _may_see(principal: Principal) -> ColumnElement[bool]:
    user = principal.user
    public = ProjectRow.visibility == Visibility.PUBLIC.value
    if user is None:
        return public
    if principal.kind is Kind.JOB:
        return or_(public, ProjectRow.id == principal.project_id)
    if user.is_admin:
        return true()
    return or_(public, ProjectRow.visibility == Visibility.INTERNAL.value, _member_of(user.id, Access.GUEST))


def _narrowed(principal: Principal, wanted: Wanted) -> list[ColumnElement[bool]]:
    user_id = principal.user.id if principal.user is not None else -1
    found: list[ColumnElement[bool]] = []
    if wanted.search:
        part = wanted.search.lower()
        found.append(
            or_(
                ProjectRow.slug_key.contains(part, autoescape=True),
                func.lower(ProjectRow.name).contains(part, autoescape=True),
                (GroupRow.path_key + "/" + ProjectRow.slug_key) == part,
            )
        )
    if wanted.group_id is not None:
        found.append(ProjectRow.group_id == wanted.group_id)
    if wanted.visibility is not None:
        found.append(ProjectRow.visibility == wanted.visibility.value)
    if wanted.archived is not None:
        found.append(ProjectRow.archived.is_(wanted.archived))
    if wanted.owned:
        found.append(_member_of(user_id, Access.OWNER) if principal.user is not None else false())
    if wanted.membership:
        found.append(_member_of(user_id, Access.GUEST) if principal.user is not None else false())
    if wanted.at_least is not None:
        found.append(_member_of(user_id, wanted.at_least) if principal.user is not None else false())
    return found


def count(session: Session, *, group_id: int) -> int:
    """How many projects a group holds."""
    return session.scalar(select(func.count()).select_from(ProjectRow).where(ProjectRow.group_id == group_id)) or 0


def update(
    session: Session,
    actor: Principal,
    project: Project,
    *,
    name: str | None = None,
    slug: str | None = None,
    description: str | None = None,
    visibility: Visibility | None = None,
    default_branch: str | None = None,
) -> Project:
    """Takes a maintainer; the visibility and the path an owner. The default branch's HEAD is the caller's to move."""
    owners_only = visibility not in (None, project.visibility) or slug not in (None, project.slug)
    permissions.require(session, actor, project, Access.OWNER if owners_only else Access.MAINTAINER)
    row = session.get_one(ProjectRow, project.id)
    if slug is not None and slug != row.slug:
        good = names.part(slug, what="path")
        if good.lower() != row.slug_key:
            _refuse_taken(session, groups.get(session, row.group_id), good)
        row.slug, row.slug_key = good, good.lower()
    row.name = name or row.name
    row.description = description if description is not None else row.description
    row.visibility = visibility.value if visibility is not None else row.visibility
    row.default_branch = check_branch(default_branch) if default_branch is not None else row.default_branch
    session.flush()
    return get(session, project.id)


def archive(session: Session, actor: Principal, project: Project, *, archived: bool = True) -> Project:
    """An archived project is read-only. Takes an owner."""
    permissions.require(session, actor, project, Access.OWNER)
    session.get_one(ProjectRow, project.id).archived = archived
    session.flush()
    return get(session, project.id)


def require_writable(project: Project) -> None:
    """Raises DENIED for an archived project."""
    if project.archived:
        raise denied(f"project {project.path} is archived and read-only; an owner can unarchive it")


def touch(session: Session, project_id: int, *, clock: Clock) -> None:
    """Something happened in the project just now."""
    row = session.get(ProjectRow, project_id)
    if row is not None:
        row.last_activity_at = clock.now()


def delete(session: Session, actor: Principal, project: Project, *, clock: Clock) -> None:
    """Takes an owner. Announces `forge.project_deleted {project_id, path, storage}`: everybody who keeps something
    of the project removes it then, the repository's folder (`Repositories.remove(storage)`) included.
    """
    permissions.require(session, actor, project, Access.OWNER)
    members.forget(session, source="project", source_id=project.id)
    for table in (RefRow, PushRow):
        session.execute(sql_delete(table).where(table.project_id == project.id))
    session.execute(sql_delete(ProjectRow).where(ProjectRow.id == project.id))
    payload = {"project_id": project.id, "path": project.path, "storage": project.storage}
    emit(session, DELETED, payload, clock=clock)


def delete_all(session: Session, actor: Principal, group: Group, *, clock: Clock) -> None:
    """Every project of a group, each as `delete` does it."""
    for row in session.scalars(select(ProjectRow).where(ProjectRow.group_id == group.id)).all():
        delete(session, actor, _value(row, group.path), clock=clock)


def _select() -> Select[ProjectRow, str]:
    return select(ProjectRow, GroupRow.path).join(GroupRow, GroupRow.id == ProjectRow.group_id)


def _one(session: Session, *conditions: ColumnElement[bool]) -> Project | None:
    found = session.execute(_select().where(*conditions)).one_or_none()
    return _value(*found) if found is not None else None


def _value(row: ProjectRow, group_path: str) -> Project:
    return Project(
        id=row.id,
        group_id=row.group_id,
        path=ProjectPath(f"{group_path}/{row.slug}"),
        name=row.name,
        description=row.description,
        visibility=Visibility(row.visibility),
        default_branch=row.default_branch,
        archived=row.archived,
        creator_id=row.creator_id,
        created_at=row.created_at,
        last_activity_at=row.last_activity_at,
        storage=row.storage,
    )
