"""`/projects`: to find, create, change, archive and delete them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter
from sqlalchemy.orm import Session

from riad.forge import paths, projects
from riad.forge.edits import Action, Editor, FileAction
from riad.forge.model import Project
from riad.forge.projects import Wanted
from riad.forge.repository import Repository
from riad.identity import groups, members, users
from riad.identity.model import Access, Group, Visibility
from riad.kernel.faults import Fault, Finding, Kind, invalid
from riad.protocols.gitlab import errors, lookup, pages
from riad.protocols.gitlab.api import Answer, Api, Call, listed
from riad.protocols.gitlab.params import Params
from riad.protocols.gitlab.registry import changed_rules, expiration
from riad.protocols.gitlab.services import Services
from riad.protocols.gitlab.shapes import projects as shapes
from riad.protocols.gitlab.shapes.users import basic
from riad.registry import policy

UNSUPPORTED = {
    "import_url": "push the repository instead: git push --mirror",
    "mirror": "push the repository instead: git push --mirror",
    "template_name": "there are no templates of projects",
    "use_custom_template": "there are no templates of projects",
    "avatar": "there are no pictures of projects",
    "ci_config_path": "the pipeline is read from .gitlab-ci.yml",
    "repository_object_format": "",
}


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    api.get("/projects", partial(find, services))
    api.post("/projects", partial(create, services))
    api.get("/projects/{id}", partial(show, services))
    api.put("/projects/{id}", partial(change, services))
    api.delete("/projects/{id}", partial(remove, services))
    api.post("/projects/{id}/archive", partial(archive, services, True))
    api.post("/projects/{id}/unarchive", partial(archive, services, False))
    api.get("/projects/{id}/users", partial(people, services))
    api.get("/users/{user_id}/projects", partial(of_user, services))
    return api.router


def shown(
    services: Services, session: Session, call: Call, found: Sequence[Project], *, simple: bool = False
) -> list[dict[str, object]]:
    """Projects in GitLab's shape; whoever is not signed in gets the simple one."""
    made = [(project, _around(services, session, call, project)) for project in found]
    if simple or call.principal.user is None:
        return [shapes.simple(project, around) for project, around in made]
    return [
        shapes.full(project, around)
        | {"container_expiration_policy": expiration(policy.of_project(session, project.id))}
        for project, around in made
    ]


def _around(services: Services, session: Session, call: Call, project: Project) -> shapes.Around:
    group = groups.get(session, project.group_id)
    viewer = call.principal.user
    owner = users.get(session, group.owner_id) if group.owner_id is not None else None
    return shapes.Around(
        group=group,
        url=services.url,
        owner=owner,
        project_access=_member(session, "project", project.id, viewer.id if viewer else None),
        group_access=_member(session, "group", group.id, viewer.id if viewer else None),
        empty=Repository(services.repositories.existing(project.storage)).is_empty(),
    )


def _member(session: Session, source: members.Source, source_id: int, user_id: int | None) -> Access:
    if user_id is None:
        return Access.NONE
    return members.access_of(session, source=source, source_id=source_id, user_id=user_id)


def found_projects(services: Services, session: Session, call: Call, *, group_id: int | None = None) -> Answer:
    """A page of projects by the parameters of the call: by number of page, or (`pagination=keyset`) by id."""
    params, page = call.params, call.page
    keyset = params.text("pagination") == "keyset"
    order = params.text("order_by") or ("id" if keyset else "created_at")
    if keyset and order != "id":
        raise errors.BadParameters("keyset pagination takes order_by=id", kind=Kind.UNSUPPORTED)
    ascending = params.text("sort") == "asc"
    wanted = Wanted(
        search=params.text("search"),
        group_id=group_id,
        visibility=params.one_of("visibility", Visibility),
        archived=params.flag("archived"),
        owned=params.on("owned"),
        membership=params.on("membership"),
        at_least=params.one_of("min_access_level", Access),
        order_by=order,
        ascending=ascending,
        after_id=params.number("id_after") or params.number("id_before"),
    )
    if params.on("starred"):
        return listed(call, [], total=0)
    limit = page.size + 1 if keyset else page.size
    found, total = projects.list_visible(
        session, call.principal, wanted, offset=0 if keyset else page.offset, limit=limit
    )
    body = shown(services, session, call, found[: page.size], simple=params.on("simple"))
    if keyset:
        last = found[page.size - 1].id if len(found) > page.size else None
        name = "id_after" if ascending else "id_before"
        return Answer(body, headers=pages.keyset_headers(call.request, page, last_id=last, name=name))
    return listed(call, body, total=total)


def find(services: Services, call: Call) -> object:
    with services.database.read() as session:
        return found_projects(services, session, call)


def of_user(services: Services, call: Call) -> object:
    with services.database.read() as session:
        return found_projects(services, session, call, group_id=lookup.user(session, call).namespace_id)


def show(services: Services, call: Call) -> object:
    with services.database.read() as session:
        return shown(services, session, call, [lookup.project(session, call)])[0]


def create(services: Services, call: Call) -> object:
    user, params = call.user, call.params
    name, slug = params.text("name"), params.text("path")
    if not name and not slug:
        raise errors.BadParameters("name, path are missing, at least one parameter must be provided")
    params.refuse(**UNSUPPORTED)
    try:
        with services.database.write() as session:
            project = projects.create(
                session,
                call.principal,
                repositories=services.repositories,
                group=_namespace(session, call, user.namespace_id),
                slug=slug or paths.slug(name or ""),
                name=name,
                description=params.text("description") or "",
                visibility=params.one_of("visibility", Visibility) or Visibility.PRIVATE,
                default_branch=params.text("default_branch") or "main",
                clock=services.clock,
            )
    except Fault as fault:
        raise _as_gitlab(fault) from None
    if params.on("initialize_with_readme"):
        _add_readme(services, call, project)
    services.announced()
    with services.database.read() as session:
        return shown(services, session, call, [project])[0]


def _as_gitlab(fault: Fault) -> Fault:
    """A taken path is a 400 in GitLab's words, which clients look for."""
    if fault.kind is not Kind.CONFLICT:
        return fault
    taken = "has already been taken"
    return invalid(fault.message, *(Finding(name, taken) for name in ("project_namespace.name", "name", "path")))


def _namespace(session: Session, call: Call, own: int) -> Group:
    """`namespace_id` is a number or, as some clients send it, a path; the caller's own by default."""
    given = call.params.text("namespace_id")
    if not given:
        return groups.get(session, own)
    try:
        return lookup.namespace(session, call, given)
    except Fault:
        raise invalid("namespace is not valid", Finding("namespace", "is not valid")) from None


def _add_readme(services: Services, call: Call, project: Project) -> None:
    title = f"# {project.name}\n" + (f"\n{project.description}\n" if project.description else "")
    readme = FileAction(Action.CREATE, "README.md", title.encode())
    _editor(services, call, project).commit(project.default_branch, [readme], message="Initial commit")


def _editor(services: Services, call: Call, project: Project) -> Editor:
    return Editor(
        services.database, services.repositories, services.clock, project, call.user, announced=services.announced
    )


def change(services: Services, call: Call) -> object:
    params = call.params
    params.refuse(**UNSUPPORTED)
    try:
        with services.database.write() as session:
            project = lookup.project(session, call, Access.MAINTAINER)
            project = projects.update(
                session,
                call.principal,
                project,
                name=params.text("name"),
                slug=params.text("path"),
                description=params.text("description"),
                visibility=params.one_of("visibility", Visibility),
                default_branch=_default_branch(services, call, project),
            )
            if params.flag("archived") is not None:
                project = projects.archive(session, call.principal, project, archived=params.on("archived"))
            _change_expiration(services, session, params.get("container_expiration_policy_attributes"), project)
            return shown(services, session, call, [project])[0]
    except Fault as fault:
        raise _as_gitlab(fault) from None


def _change_expiration(services: Services, session: Session, given: object, project: Project) -> None:
    """The clean-up of the project's images."""
    if isinstance(given, dict):
        changed = changed_rules(policy.of_project(session, project.id), Params(given))
        policy.set_policy(session, project.id, changed, clock=services.clock)


def _default_branch(services: Services, call: Call, project: Project) -> str | None:
    """Moves HEAD along. A branch that is not there is refused, unless nothing is."""
    name = call.params.text("default_branch")
    if not name or name == project.default_branch:
        return None
    repository = Repository(services.repositories.existing(project.storage))
    if repository.branch(name) is None and not repository.is_empty():
        problem = "does not exist; push it first"
        raise invalid(f"branch {name!r} {problem}", Finding("default_branch", problem))
    repository.set_default_branch(projects.check_branch(name))
    return name


def remove(services: Services, call: Call) -> object:
    with services.database.write() as session:
        projects.delete(session, call.principal, lookup.project(session, call), clock=services.clock)
    services.announced()
    return Answer({"message": "202 Accepted"}, status=202)


def archive(services: Services, archived: bool, call: Call) -> object:
    with services.database.write() as session:
        project = lookup.project(session, call)
        project = projects.archive(session, call.principal, project, archived=archived)
        return shown(services, session, call, [project])[0]


def people(services: Services, call: Call) -> object:
    _ = call.user
    with services.database.read() as session:
        project = lookup.project(session, call)
        found = members.all_of_project(session, project_id=project.id, group_id=project.group_id)
    shown_people = [basic(member.user, services.url) for member in pages.cut(found, call.page)]
    return listed(call, shown_people, total=len(found))
