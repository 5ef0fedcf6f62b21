"""Releases: asked for, listed, put back."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.deploy import environments, plan
from riad.deploy.model import (
    Environment,
    Kind,
    Origin,
    Release,
    ReleaseState,
    Rollout,
    RolloutState,
    Settings,
)
from riad.deploy.store import EnvironmentRow, ReleaseRow, RolloutRow
from riad.kernel.clock import Clock
from riad.kernel.faults import conflict, not_found


def request(
    session: Session,
    *,
    environment: Environment,
    image: str,
    image_name: str,
    settings: Settings,
    origin: Origin,
    kind: Kind = Kind.DEPLOY,
    of: int | None = None,
    clock: Clock,
) -> tuple[Release, Rollout]:
    """A new release with its roll-out queued. Asking twice for one job gives the first one again."""
    owner = session.get_one(EnvironmentRow, environment.id, with_for_update=True, populate_existing=True)
    if origin.job_id is not None and kind is Kind.DEPLOY and (again := of_job(session, environment, origin.job_id)):
        return again
    owner.last_number += 1
    row = ReleaseRow(
        environment_id=environment.id,
        number=owner.last_number,
        kind=kind,
        state=ReleaseState.DEPLOYING,
        image=image,
        image_name=image_name,
        port=settings.port,
        health_path=settings.health_path,
        deadline=settings.deadline,
        environ=dict(settings.environ or {}),
        sha=origin.sha,
        ref=origin.ref,
        pipeline_id=origin.pipeline_id,
        job_id=origin.job_id,
        user_id=origin.user_id,
        of=of,
        created_at=clock.now(),
    )
    session.add(row)
    session.flush()
    rollout = RolloutRow(release_id=row.id, environment_id=environment.id, state=RolloutState.QUEUED, steps_done=0)
    session.add(rollout)
    session.flush()
    return row.value(), rollout.value()


def of_job(session: Session, environment: Environment, job_id: int) -> tuple[Release, Rollout] | None:
    query = (
        select(ReleaseRow, RolloutRow)
        .join(RolloutRow, RolloutRow.release_id == ReleaseRow.id)
        .where(ReleaseRow.environment_id == environment.id, ReleaseRow.job_id == job_id, ReleaseRow.kind == Kind.DEPLOY)
    )
    found = session.execute(query).one_or_none()
    return (found[0].value(), found[1].value()) if found else None


def get(session: Session, release_id: int) -> Release:
    row = session.get(ReleaseRow, release_id)
    if row is None:
        raise not_found(f"no release {release_id}")
    return row.value()


def of_environment(session: Session, environment_id: int) -> list[Release]:
    """Newest first."""
    query = select(ReleaseRow).where(ReleaseRow.environment_id == environment_id).order_by(ReleaseRow.number.desc())
    return [row.value() for row in session.scalars(query)]


def of_project(session: Session, project_id: int) -> list[tuple[Environment, Release]]:
    """Of all its environments, newest first."""
    query = (
        select(EnvironmentRow, ReleaseRow)
        .join(ReleaseRow, ReleaseRow.environment_id == EnvironmentRow.id)
        .where(EnvironmentRow.project_id == project_id)
        .order_by(ReleaseRow.id.desc())
    )
    return [(environment.value(), release.value()) for environment, release in session.execute(query)]


def live(session: Session, environment_id: int) -> Release | None:
    query = select(ReleaseRow).where(ReleaseRow.environment_id == environment_id, ReleaseRow.state == ReleaseState.LIVE)
    row = session.scalars(query).one_or_none()
    return row.value() if row else None


def container_log(session: Session, release_id: int) -> str:
    """The end of what the container of a failed release wrote; "" where nothing was kept."""
    return session.get_one(ReleaseRow, release_id).container_log or ""


def rollback(
    session: Session,
    *,
    project_id: int,
    environment: str | None = None,
    number: int | None = None,
    user_id: int | None,
    clock: Clock,
) -> tuple[Environment, Release, Rollout]:
    """A new release with the image and settings of release `number`, by default the one in service before.

    Rolling back twice goes back two releases. Raises NOT_FOUND where there is no such release, CONFLICT where it never
    was in service, its image is no longer kept, or a roll-out is under way.
    """
    where = environments.find(session, project_id, environment)
    history = of_environment(session, where.id)
    target = _target(where, history, number)
    if any(release.state is ReleaseState.DEPLOYING for release in history):
        raise conflict(f"a roll-out to {where.name} is under way; wait for it to end")
    where = environments.ensure(
        session, project_id=project_id, project_path=where.project_path, name=where.name, clock=clock
    )
    made, rollout = request(
        session,
        environment=where,
        image=target.image,
        image_name=target.image_name,
        settings=target.settings,
        origin=Origin(target.origin.sha, target.origin.ref, target.origin.pipeline_id, None, user_id),
        kind=Kind.ROLLBACK,
        of=target.number,
        clock=clock,
    )
    return where, made, rollout


def _target(environment: Environment, history: list[Release], number: int | None) -> Release:
    served = [release for release in history if release.state in (ReleaseState.LIVE, ReleaseState.RETIRED)]
    now = next((release for release in served if release.state is ReleaseState.LIVE), None)
    by_number = {release.number: release for release in history}
    if number is None:
        limit = now.original if now is not None else environment_end(history)
        older = [release.original for release in served if release.original < limit]
        if not older:
            raise not_found(f"{environment.name} has no release before this one to go back to")
        return by_number[max(older)]
    asked = by_number.get(number)
    if asked is None:
        raise not_found(f"{environment.name} has no release {number}; `riad releases` lists them")
    if asked not in served:
        raise conflict(f"release {number} never was in service: {asked.reason or asked.state}")
    if now is not None and asked.original == now.original:
        raise conflict(f"release {number} is what {environment.name} serves now")
    if asked.original not in kept_numbers(history):
        raise conflict(f"release {number} is too old: its image is no longer kept (the last {plan.KEPT_RELEASES} are)")
    return by_number[asked.original]


def environment_end(history: list[Release]) -> int:
    """A number above every release's."""
    return max((release.number for release in history), default=0) + 1


def kept_numbers(history: list[Release]) -> frozenset[int]:
    """The releases, of one environment's history newest first, that can still be rolled back to."""
    served = [release for release in history if release.state in (ReleaseState.LIVE, ReleaseState.RETIRED)]
    now = next((release.original for release in served if release.state is ReleaseState.LIVE), None)
    return plan.kept(now, [release.original for release in served])


def kept_images(session: Session) -> frozenset[str]:
    """Every image that a release needs now or may need for a roll-back: what the registry must not collect."""
    images: set[str] = set()
    for environment_id in session.scalars(select(EnvironmentRow.id)):
        history = of_environment(session, environment_id)
        numbers = kept_numbers(history)
        images |= {r.image for r in history if r.number in numbers or r.state is ReleaseState.DEPLOYING}
    return frozenset(images)
