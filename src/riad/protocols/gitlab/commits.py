"""`/projects/:id/repository/commits`, `…/compare` and `…/merge_base`."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Any

from fastapi import APIRouter

from riad.forge.edits import Action, Author, FileAction
from riad.forge.history import Commit
from riad.forge.repository import Narrow
from riad.kernel.faults import Fault, Kind, invalid, not_found
from riad.protocols.gitlab import errors, pages
from riad.protocols.gitlab.api import Api, Call, listed
from riad.protocols.gitlab.opened import Opened, editing, reading
from riad.protocols.gitlab.refs import BASE
from riad.protocols.gitlab.services import Services
from riad.protocols.gitlab.shapes import commits as shapes


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    api.get(f"{BASE}/commits", partial(log, services))
    api.post(f"{BASE}/commits", partial(create, services))
    api.get(f"{BASE}/commits/{{sha}}", partial(show, services))
    api.get(f"{BASE}/commits/{{sha}}/diff", partial(diff, services))
    api.get(f"{BASE}/commits/{{sha}}/refs", partial(refs, services))
    api.get(f"{BASE}/compare", partial(compare, services))
    api.get(f"{BASE}/merge_base", partial(merge_base, services))
    return api.router


def log(services: Services, call: Call) -> object:
    params, page = call.params, call.page
    params.refuse(
        first_parent="the whole history is listed",
        trailers="trailers are not read",
        follow="renames are not followed",
    )
    opened = reading(services, call)
    if opened.repository.is_empty() and not params.text("ref_name"):
        return listed(call, [], total=None)
    start, end = opened.commit(None), None
    wanted = params.text("ref_name")
    if wanted and ".." in wanted:
        old, _, new = wanted.partition("..")
        start, end = opened.commit(new.lstrip(".")), opened.commit(old)
    elif wanted:
        start = opened.commit(wanted)
    found = opened.repository.log(
        start.sha,
        path=params.text("path") or "",
        skip=page.offset,
        limit=page.size + 1,
        narrow=Narrow(
            hide=end.sha if end is not None else None,
            since=params.moment("since"),
            until=params.moment("until"),
            author=params.text("author"),
            also=tuple(b.commit.sha for b in opened.repository.branches()) if params.on("all") else (),
        ),
    )
    shown = [_shown(services, call, opened, commit) for commit in found[: page.size]]
    return listed(call, shown, total=None, more=len(found) > page.size)


def _shown(services: Services, call: Call, opened: Opened, commit: Commit) -> dict[str, Any]:
    shape = shapes.commit(commit, opened.project, services.url)
    if call.params.on("with_stats"):
        found = opened.repository.commit_diff(commit.sha)
        total = found.added + found.deleted
        shape["stats"] = {"additions": found.added, "deletions": found.deleted, "total": total}
    return shape


def _detail(services: Services, opened: Opened, commit: Commit) -> object:
    return shapes.detail(
        commit,
        opened.project,
        services.url,
        diff=opened.repository.commit_diff(commit.sha),
        last_pipeline=services.last_pipeline(opened.project.id, commit.sha),
    )


def show(services: Services, call: Call) -> object:
    opened = reading(services, call)
    return _detail(services, opened, opened.commit(call.path["sha"]))


def diff(services: Services, call: Call) -> object:
    opened = reading(services, call)
    found = opened.repository.commit_diff(opened.commit(call.path["sha"]).sha)
    shown = [shapes.file_diff(file) for file in pages.cut(found.files, call.page)]
    return listed(call, shown, total=len(found.files))


def refs(services: Services, call: Call) -> object:
    """The branches and tags that hold the commit."""
    kind = call.params.text("type") or "all"
    if kind not in {"all", "branch", "tag"}:
        raise errors.BadParameters("type does not have a valid value")
    opened = reading(services, call)
    sha = opened.commit(call.path["sha"]).sha
    tips = [("branch", b.name, b.commit.sha) for b in opened.repository.branches()]
    tips += [("tag", t.name, t.commit.sha) for t in opened.repository.tags()]
    found = [
        {"type": of, "name": name}
        for of, name, tip in tips
        if kind in ("all", of) and opened.repository.is_ancestor(sha, tip)
    ]
    return listed(call, pages.cut(found, call.page), total=len(found))


def compare(services: Services, call: Call) -> object:
    """From the merge base (as GitLab) or, with `straight`, from `from` itself."""
    params = call.params
    params.require("from", "to")
    params.refuse(from_project_id="there are no forks yet")
    opened = reading(services, call)
    old, new = opened.commit(params.needed("from"), what="Ref"), opened.commit(params.needed("to"), what="Ref")
    base = old.sha if params.on("straight") else opened.repository.merge_base(old.sha, new.sha) or old.sha
    found = opened.repository.diff(base, new.sha)
    newest_first = opened.repository.between(old.sha, new.sha, limit=1000)
    shown = [shapes.commit(commit, opened.project, services.url) for commit in reversed(newest_first)]
    path = opened.project.path
    return {
        "commit": shown[-1] if shown else None,
        "commits": shown,
        "diffs": [shapes.file_diff(file) for file in found.files],
        "compare_timeout": found.truncated,
        "compare_same_ref": old.sha == new.sha,
        "web_url": f"{services.url}/{path}/-/compare/{old.sha}...{new.sha}",
    }


def merge_base(services: Services, call: Call) -> object:
    names = call.params.texts("refs") or []
    if len(names) != 2:
        raise errors.BadParameters("refs takes two refs", kind=Kind.INVALID)
    opened = reading(services, call)
    one, other = (opened.commit(name, what="Ref") for name in names)
    base = opened.repository.merge_base(one.sha, other.sha)
    if base is None:
        raise not_found("404 Merge Base Not Found")
    return shapes.commit(opened.repository.resolve(base), opened.project, services.url)


def create(services: Services, call: Call) -> object:
    params = call.params
    params.require("branch", "commit_message", "actions")
    params.refuse(
        start_sha="name a start_branch", start_project="there are no forks yet", force="a branch is only moved on"
    )
    actions = params["actions"]
    if not isinstance(actions, list) or not actions:
        raise errors.BadParameters("actions is invalid")
    editor = editing(services, call)
    try:
        commit = editor.commit(
            params.needed("branch"),
            [_action(action) for action in actions],
            message=params.needed("commit_message"),
            start=params.text("start_branch"),
            author=author(call),
        )
    except Fault as fault:
        raise (invalid(fault.message) if fault.kind is Kind.CONFLICT else fault) from None
    return _detail(services, reading(services, call), commit)


def author(call: Call) -> Author | None:
    """The author that the call names, in whole or in part; None where it names none."""
    name, email = call.params.text("author_name"), call.params.text("author_email")
    return Author(name or call.user.name, email or call.user.email) if name or email else None


def _action(given: object) -> FileAction:
    if not isinstance(given, dict):
        raise errors.BadParameters("actions is invalid")
    try:
        action = Action(str(given.get("action")))
    except ValueError:
        raise errors.BadParameters("actions[action] does not have a valid value") from None
    path = given.get("file_path")
    if not isinstance(path, str):
        raise errors.BadParameters("actions[file_path] is missing")
    executable = given.get("execute_filemode")
    return FileAction(
        action=action,
        path=path,
        content=content(given.get("content"), given.get("encoding")),
        previous_path=given.get("previous_path"),
        executable=executable if isinstance(executable, bool) else None,
        last_seen=given.get("last_commit_id"),
    )


def content(given: object, encoding: object) -> bytes | None:
    """A file's new bytes: text, or base64 where `encoding` says so."""
    if given is None:
        return None
    if not isinstance(given, str) or encoding not in (None, "", "text", "base64"):
        raise errors.BadParameters("content is invalid" if not isinstance(given, str) else "encoding is invalid")
    if encoding != "base64":
        return given.encode()
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise errors.BadParameters("content is not base64") from None
