"""What happened in a repository: commits, one commit's changes, branches, tags."""

from __future__ import annotations

from itertools import groupby

from fastapi import Response
from fastapi.responses import RedirectResponse

from riad.pipelines.show import list_pipelines
from riad.web.here import here, split_ref
from riad.web.pages import Pages
from riad.web.project import first_ref
from riad.web.visit import Visit

PER_PAGE = 40


def add(pages: Pages) -> None:
    root = "/{group}/{name}/-"
    pages.get(root + "/commits")(default)
    pages.get(root + "/commits/{rest:path}")(commits)
    pages.get(root + "/commit/{sha}")(commit)
    pages.get(root + "/branches")(branches)
    pages.get(root + "/tags")(tags)


def default(visit: Visit) -> Response:
    at = here(visit)
    ref = first_ref(at, at.repository())
    return RedirectResponse(f"{at.root}/-/commits/{ref}" if ref else at.root, 303)


def commits(visit: Visit) -> Response:
    at = here(visit)
    repository = at.repository()
    ref, path = split_ref(repository, visit.path("rest"))
    start = repository.resolve(ref).sha
    found = repository.log(start, path=path, skip=(visit.page_number - 1) * PER_PAGE, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    days = [(day, list(of_day)) for day, of_day in groupby(shown, key=lambda c: c.committer.at.date())]
    latest = {
        c.sha: views[0] for c in shown if (views := list_pipelines(visit.session, at.project.id, limit=1, sha=c.sha)[0])
    }
    return visit.render(
        "commits.html",
        here=at,
        tab="commits",
        ref=ref,
        folder=path,
        days=days,
        pipelines=latest,
        more=len(found) > PER_PAGE,
        refs=[branch.name for branch in repository.branches()],
    )


def commit(visit: Visit) -> Response:
    at = here(visit)
    repository = at.repository()
    found = repository.resolve(visit.path("sha"))
    pipelines, _ = list_pipelines(visit.session, at.project.id, limit=5, sha=found.sha)
    return visit.render(
        "commit.html",
        here=at,
        tab="commits",
        commit=found,
        diff=repository.commit_diff(found.sha),
        pipelines=pipelines,
        branches=[b.name for b in repository.branches() if repository.is_ancestor(found.sha, b.commit.sha)][:10],
    )


def branches(visit: Visit) -> Response:
    at = here(visit)
    repository = at.repository()
    main = repository.branch(at.project.default_branch)
    found = sorted(
        repository.branches(), key=lambda b: (b.name != at.project.default_branch, -b.commit.committer.at.timestamp())
    )
    ahead = {b.name: repository.ahead_behind(b.commit.sha, main.commit.sha) for b in found[:100]} if main else {}
    return visit.render("branches.html", here=at, tab="commits", branches=found, ahead=ahead)


def tags(visit: Visit) -> Response:
    at = here(visit)
    return visit.render("tags.html", here=at, tab="commits", tags=at.repository().tags())
