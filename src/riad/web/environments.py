"""Environments: what serves where, every release of it, and going back to an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Response

from riad.deploy import environments, releases, rollouts
from riad.deploy.container import service_url
from riad.deploy.model import Environment, Release, ReleaseState
from riad.forge.history import Commit
from riad.identity.model import Access
from riad.kernel.faults import not_found
from riad.web.here import Here, here
from riad.web.pages import Pages
from riad.web.visit import Visit

SHOWN = 30


def add(pages: Pages) -> None:
    root = "/{group}/{name}/-/environments"
    pages.get(root)(listed)
    pages.get(root + "/{id}/rollback/{number}")(confirm)
    pages.post(root + "/{id}/rollback")(rollback)


@dataclass(frozen=True, slots=True)
class Shown:
    """`progress` is what the roll-out under way has said so far; `kept` the numbers that can be rolled back to."""

    environment: Environment
    url: str
    live: Release | None
    history: list[Release]
    kept: frozenset[int]
    deploying: Release | None
    progress: list[str]

    def can_return_to(self, release: Release) -> bool:
        """The first release that brought an image which is kept and not in service now."""
        return (
            release.of is None
            and release.number in self.kept
            and release.state is ReleaseState.RETIRED
            and (self.live is None or self.live.original != release.number)
        )


def listed(visit: Visit) -> Response:
    at = here(visit)
    shown = [_shown(visit, environment) for environment in environments.of_project(visit.session, at.project.id)]
    history = [release for each in shown for release in each.history]
    return visit.render(
        "environments_live.html" if visit.partial else "environments.html",
        here=at,
        tab="environments",
        shown=shown,
        commits=_commits(at, history),
        people=at.people(release.origin.user_id for release in history),
        logs={r.id: releases.container_log(visit.session, r.id) for r in history if r.state is ReleaseState.FAILED},
        active=any(each.deploying for each in shown),
    )


def _shown(visit: Visit, environment: Environment) -> Shown:
    history = releases.of_environment(visit.session, environment.id)
    deploying = next((release for release in history if release.state is ReleaseState.DEPLOYING), None)
    services = visit.services
    return Shown(
        environment=environment,
        url=service_url(services.external_url, services.domain, environment.service),
        live=releases.live(visit.session, environment.id),
        history=history[:SHOWN],
        kept=releases.kept_numbers(history),
        deploying=deploying,
        progress=_progress(visit, deploying) if deploying else [],
    )


def _progress(visit: Visit, release: Release) -> list[str]:
    for rollout in rollouts.unfinished(visit.session):
        if rollout.release_id == release.id:
            return rollouts.lines(visit.session, rollout_id=rollout.id)
    return []


def _commits(at: Here, history: list[Release]) -> dict[str, Commit | None]:
    repository = at.repository()
    return {r.origin.sha: repository.commit(r.origin.sha) for r in history if r.origin.sha}


def confirm(visit: Visit) -> Response:
    """Asks before it is done, showing what goes and what comes."""
    at = here(visit, Access.DEVELOPER)
    shown = _one(visit, at)
    target = next((r for r in shown.history if r.number == visit.number("number")), None)
    if target is None:
        raise not_found("there is no such release")
    both = [release for release in (shown.live, target) if release is not None]
    return visit.render(
        "rollback.html", here=at, tab="environments", shown=shown, target=target, commits=_commits(at, both)
    )


def _one(visit: Visit, at: Here) -> Shown:
    for environment in environments.of_project(visit.session, at.project.id):
        if environment.id == visit.number("id"):
            return _shown(visit, environment)
    raise not_found("there is no such environment")


def rollback(visit: Visit) -> Response:
    at = here(visit, Access.DEVELOPER)
    environment = _one(visit, at).environment
    number = visit.field("number")
    with visit.write() as session:
        releases.rollback(
            session,
            project_id=at.project.id,
            environment=environment.name,
            number=int(number) if number.isascii() and number.isdigit() else None,
            user_id=visit.user.id,
            clock=visit.services.clock,
        )
    visit.services.wake_rollouts()
    return visit.go(f"{at.root}/-/environments", notice=f"{environment.name} is being rolled back.")
