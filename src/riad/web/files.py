"""The files of a project at a branch, tag or commit."""

from __future__ import annotations

from fastapi import Response
from fastapi.responses import RedirectResponse

from riad.forge.tree import EntryKind
from riad.kernel.faults import not_found
from riad.web import code
from riad.web.here import here, split_ref
from riad.web.pages import Pages
from riad.web.project import first_ref, readme
from riad.web.visit import Visit


def add(pages: Pages) -> None:
    root = "/{group}/{name}/-"
    pages.get(root + "/tree")(default)
    pages.get(root + "/tree/{rest:path}")(folder)
    pages.get(root + "/blob/{rest:path}")(file)
    pages.get(root + "/raw/{rest:path}")(raw)


def default(visit: Visit) -> Response:
    at = here(visit)
    ref = first_ref(at, at.repository())
    return RedirectResponse(f"{at.root}/-/tree/{ref}" if ref else at.root, 303)


def folder(visit: Visit) -> Response:
    at = here(visit)
    repository = at.repository()
    ref, path = split_ref(repository, visit.path("rest"))
    commit = repository.resolve(ref)
    if path:
        entry = repository.entry(commit.sha, path)
        if entry is not None and entry.kind is EntryKind.BLOB:
            return RedirectResponse(f"{at.root}/-/blob/{ref}/{path}", 303)
    entries = repository.touched(commit.sha, path)
    shown = readme(at, repository, ref, commit.sha, path, [touched.entry for touched in entries])
    return visit.render(
        "files.html",
        here=at,
        tab="files",
        ref=ref,
        folder=path,
        entries=entries,
        commit=repository.last_commit(commit.sha, path) or commit,
        refs=[branch.name for branch in repository.branches()],
        readme=shown,
    )


def file(visit: Visit) -> Response:
    at = here(visit)
    repository = at.repository()
    ref, path = split_ref(repository, visit.path("rest"))
    commit = repository.resolve(ref)
    blob = repository.blob(commit.sha, path)
    if blob is None:
        entry = repository.entry(commit.sha, path) if path else None
        if entry is not None and entry.kind is EntryKind.TREE:
            return RedirectResponse(f"{at.root}/-/tree/{ref}/{path}", 303)
        raise not_found(f"there is no file {path} at {ref}")
    return visit.render(
        "file.html",
        here=at,
        tab="files",
        ref=ref,
        folder=path,
        blob=blob,
        lines=[] if blob.is_binary else code.lines(path.rpartition("/")[2], blob.text),
        commit=repository.last_commit(commit.sha, path) or commit,
    )


def raw(visit: Visit) -> Response:
    """The file itself: text as text, everything else to keep, so that nothing of it runs here."""
    at = here(visit)
    repository = at.repository()
    ref, path = split_ref(repository, visit.path("rest"))
    blob = repository.blob(repository.resolve(ref).sha, path, limit=64 * 1024 * 1024)
    if blob is None:
        raise not_found(f"there is no file {path} at {ref}")
    if blob.truncated:
        raise not_found(f"{path} is too large to be sent from here; clone the project instead")
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
    if blob.is_binary:
        headers["Content-Disposition"] = "attachment"
        return Response(blob.data, headers=headers, media_type="application/octet-stream")
    return Response(blob.data, headers=headers, media_type="text/plain; charset=utf-8")
