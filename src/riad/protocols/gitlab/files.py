"""`/projects/:id/repository/{tree,files,blobs,archive}`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import partial
from itertools import islice

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from riad.forge import archive as forge_archive
from riad.forge.edits import Action, FileAction
from riad.forge.history import Commit
from riad.forge.tree import Blob
from riad.kernel.faults import Fault, Kind, exhausted, invalid, not_found
from riad.protocols.gitlab.api import NO_CONTENT, Answer, Api, Call, listed
from riad.protocols.gitlab.commits import author, content
from riad.protocols.gitlab.opened import Opened, editing, reading
from riad.protocols.gitlab.refs import BASE
from riad.protocols.gitlab.services import Services
from riad.protocols.gitlab.shapes import commits as shapes

LARGEST_FILE = 100 * 1024 * 1024
MOST_WALKED = 100_000


def router(services: Services) -> APIRouter:
    api = Api(services.database, services.clock)
    api.get(f"{BASE}/tree", partial(tree, services))
    api.get(f"{BASE}/files/{{path}}", partial(show, services))
    api.get(f"{BASE}/files/{{path}}/raw", partial(raw, services))
    api.post(f"{BASE}/files/{{path}}", partial(create, services))
    api.put(f"{BASE}/files/{{path}}", partial(update, services))
    api.delete(f"{BASE}/files/{{path}}", partial(delete, services))
    api.get(f"{BASE}/blobs/{{sha}}", partial(blob, services))
    api.get(f"{BASE}/blobs/{{sha}}/raw", partial(raw_blob, services))
    for ending in ("", *(f".{name}" for name in forge_archive.FORMATS)):
        api.get(f"{BASE}/archive{ending}", partial(archive, services, ending.removeprefix(".") or "tar.gz"))
    return api.router


def tree(services: Services, call: Call) -> object:
    """By page, or `pagination=keyset` with the sha of the last entry as `page_token`."""
    opened = reading(services, call)
    if opened.repository.is_empty():
        raise not_found("404 Tree Not Found")
    commit, path = opened.commit(call.params.text("ref"), what="Tree"), call.params.text("path") or ""
    if call.params.on("recursive"):
        found = list(islice(opened.repository.walk(commit.sha, path), MOST_WALKED))
    else:
        found = opened.repository.tree(commit.sha, path)
    page = call.page
    token = call.params.text("page_token")
    start = page.offset
    if token:
        start = next((number + 1 for number, entry in enumerate(found) if entry.sha == token), len(found))
    shown = [shapes.entry(entry) for entry in found[start : start + page.size]]
    return listed(call, shown, total=len(found))


def _blob(opened: Opened, call: Call) -> tuple[Commit, Blob]:
    commit = opened.commit(call.params.text("ref"))
    found = opened.repository.blob(commit.sha, call.path["path"], limit=LARGEST_FILE)
    if found is None:
        raise not_found("404 File Not Found")
    if found.truncated:
        raise exhausted(f"{found.path} is larger than {LARGEST_FILE // 2**20} MiB; fetch it with git")
    return commit, found


def _headers(call: Call, opened: Opened, commit: Commit, found: Blob) -> dict[str, str]:
    last = opened.repository.last_commit(commit.sha, found.path) or commit
    sha256 = hashlib.sha256(found.data).hexdigest()
    ref = call.params.text("ref") or opened.project.default_branch
    return shapes.file_headers(found, ref=ref, commit=commit, last=last, sha256=sha256)


def show(services: Services, call: Call) -> object:
    call.params.require("ref")
    opened = reading(services, call)
    commit, found = _blob(opened, call)
    headers = _headers(call, opened, commit, found)
    shape = {
        "file_name": found.path.rpartition("/")[2],
        "file_path": found.path,
        "size": found.size,
        "encoding": "base64",
        "content": base64.b64encode(found.data).decode(),
        "content_sha256": headers["X-Gitlab-Content-Sha256"],
        "ref": call.params.text("ref"),
        "blob_id": found.sha,
        "commit_id": commit.sha,
        "last_commit_id": headers["X-Gitlab-Last-Commit-Id"],
        "execute_filemode": found.mode == "100755",
    }
    return Answer(shape, headers=headers)


SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""A stranger's file must never run as a page of ours."""


def plain(name: str) -> str:
    """A file name that any header, shell and file system takes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)


def raw(services: Services, call: Call) -> object:
    opened = reading(services, call)
    commit, found = _blob(opened, call)
    name = plain(found.path.rpartition("/")[2])
    headers = _headers(call, opened, commit, found) | SAFE | {"Content-Disposition": f'inline; filename="{name}"'}
    media_type = "application/octet-stream" if found.is_binary else "text/plain; charset=utf-8"
    return Answer(found.data, headers=headers, media_type=media_type)


def _by_sha(services: Services, call: Call) -> Blob:
    found = reading(services, call).repository.blob_by_sha(call.path["sha"], limit=LARGEST_FILE)
    if found is None:
        raise not_found("404 Blob Not Found")
    if found.truncated:
        raise exhausted(f"this file is larger than {LARGEST_FILE // 2**20} MiB; fetch it with git")
    return found


def blob(services: Services, call: Call) -> object:
    found = _by_sha(services, call)
    encoded = base64.b64encode(found.data).decode()
    return {"size": found.size, "encoding": "base64", "content": encoded, "sha": found.sha}


def raw_blob(services: Services, call: Call) -> object:
    return Answer(_by_sha(services, call).data, headers=SAFE)


def archive(services: Services, form: str, call: Call) -> object:
    call.params.refuse(include_lfs_blobs="there are no LFS objects", exclude_paths="the whole folder is archived")
    opened = reading(services, call)
    commit = opened.commit(call.params.text("sha"))
    ref = call.params.text("sha") or opened.project.default_branch
    prefix = plain(f"{opened.project.slug}-{ref}-{commit.sha}")
    form = call.params.text("format") or form
    chunks = forge_archive.stream(
        opened.repository.path, commit.sha, form=form, prefix=prefix, path=call.params.text("path") or ""
    )
    disposition = {"Content-Disposition": f'attachment; filename="{prefix}.{form}"'} | SAFE
    return StreamingResponse(chunks, headers=disposition, media_type="application/octet-stream")


def _write(services: Services, call: Call, action: Action) -> object:
    params = call.params
    params.require("branch", "commit_message", *(["content"] if action is not Action.DELETE else []))
    editor = editing(services, call)
    path = call.path["path"]
    wanted = FileAction(
        action=action,
        path=path,
        content=content(params.get("content"), params.get("encoding")),
        executable=params.flag("execute_filemode"),
        last_seen=params.text("last_commit_id"),
    )
    branch = params.needed("branch")
    _in_gitlabs_words(
        lambda: editor.commit(
            branch,
            [wanted],
            message=params.needed("commit_message"),
            start=params.text("start_branch"),
            author=author(call),
        )
    )
    return {"file_path": path, "branch": branch}


def _in_gitlabs_words(act: Callable[[], object]) -> None:
    try:
        act()
    except Fault as fault:
        raise (invalid(fault.message) if fault.kind is Kind.CONFLICT else fault) from None


def create(services: Services, call: Call) -> object:
    return _write(services, call, Action.CREATE)


def update(services: Services, call: Call) -> object:
    return _write(services, call, Action.UPDATE)


def delete(services: Services, call: Call) -> object:
    _write(services, call, Action.DELETE)
    return NO_CONTENT
