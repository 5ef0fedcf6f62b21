"""A project's first page: what it is, its files, its README, how to clone it; or how to begin where it is empty."""

from __future__ import annotations

from fastapi import Response
from markupsafe import Markup

from riad.forge.repository import Repository
from riad.forge.tree import Entry, EntryKind
from riad.kernel.faults import Fault, Kind
from riad.pipelines.show import list_pipelines
from riad.web import markdown
from riad.web.here import Here, here
from riad.web.pages import Pages
from riad.web.projects import live_url
from riad.web.visit import Visit


def add(pages: Pages) -> None:
    pages.get("/{group}/{name}")(overview)


def overview(visit: Visit) -> Response:
    at = here(visit)
    repository = at.repository()
    ref = first_ref(at, repository)
    if ref is None:
        return visit.render("project_empty.html", here=at, tab="overview")
    commit = repository.resolve(ref)
    entries = repository.touched(commit.sha)
    pipelines, _ = list_pipelines(visit.session, at.project.id, limit=1, sha=commit.sha)
    return visit.render(
        "project.html",
        here=at,
        tab="overview",
        ref=ref,
        folder="",
        commit=commit,
        entries=entries,
        pipeline=pipelines[0] if pipelines else None,
        counts=(repository.count(commit.sha), len(repository.branches()), len(repository.tags())),
        readme=readme(at, repository, ref, commit.sha, "", [touched.entry for touched in entries]),
        url=live_url(visit, at.project.id),
    )


def first_ref(at: Here, repository: Repository) -> str | None:
    """The default branch, or any where it has not been pushed; None in an empty repository."""
    if repository.branch(at.project.default_branch) is not None:
        return at.project.default_branch
    found = repository.branches()
    return found[0].name if found else None


def readme(
    at: Here, repository: Repository, ref: str, sha: str, folder: str, entries: list[Entry]
) -> tuple[str, Markup] | None:
    """Its file's name and what it says."""
    names = [e for e in entries if e.kind is EntryKind.BLOB and e.name.lower().partition(".")[0] == "readme"]
    names.sort(key=lambda entry: not entry.name.lower().endswith((".md", ".markdown")))
    if not names:
        return None
    try:
        blob = repository.blob(sha, names[0].path, limit=markdown.LONGEST)
    except Fault as fault:
        if fault.kind is not Kind.NOT_FOUND:
            raise
        return None
    if blob is None or blob.is_binary:
        return None
    if names[0].name.lower().endswith((".md", ".markdown")):
        return names[0].name, markdown.render(blob.text, base=markdown.base_of(at.project.path, ref, folder))
    return names[0].name, markdown.plain(blob.text)
