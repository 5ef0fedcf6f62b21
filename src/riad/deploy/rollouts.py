"""How a roll-out's progress is written down: each change of state in one transaction, intention before fact."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.deploy import releases
from riad.deploy.model import (
    Environment,
    EnvironmentState,
    Release,
    ReleaseState,
    Rollout,
    RolloutState,
    moved,
)
from riad.deploy.plan import Plan, plan_rollout
from riad.deploy.store import EnvironmentRow, LineRow, ReleaseRow, RolloutRow
from riad.kernel.clock import Clock
from riad.kernel.faults import not_found
from riad.kernel.outbox import emit


@dataclass(frozen=True, slots=True)
class Work:
    """A roll-out with everything that carrying it out needs."""

    rollout: Rollout
    environment: Environment
    release: Release
    previous: Release | None

    @property
    def plan(self) -> Plan:
        return plan_rollout(self.previous.number if self.previous else None, self.release.number)


def load(session: Session, rollout_id: int) -> Work:
    row = session.get(RolloutRow, rollout_id)
    if row is None:
        raise not_found(f"no roll-out {rollout_id}")
    previous = releases.get(session, row.previous_id) if row.previous_id is not None else None
    environment = session.get_one(EnvironmentRow, row.environment_id).value()
    return Work(row.value(), environment, releases.get(session, row.release_id), previous)


def unfinished(session: Session) -> list[Rollout]:
    """Oldest first."""
    over = [state for state in RolloutState if state.over]
    query = select(RolloutRow).where(RolloutRow.state.not_in(over)).order_by(RolloutRow.id)
    return [row.value() for row in session.scalars(query)]


def needed_releases(session: Session) -> frozenset[str]:
    """Ids (as labels carry them) of the releases whose containers have a reason to be."""
    live = session.scalars(select(ReleaseRow.id).where(ReleaseRow.state == ReleaseState.LIVE))
    busy = [(rollout.release_id, rollout.previous_id) for rollout in unfinished(session)]
    return frozenset(str(number) for number in [*live, *(n for pair in busy for n in pair)] if number is not None)


def begin(session: Session, rollout_id: int) -> Work:
    """Takes note of what is live now; a roll-out that had begun before keeps what it noted."""
    row = session.get_one(RolloutRow, rollout_id)
    if row.state == RolloutState.QUEUED:
        row.state = moved(RolloutState(row.state), RolloutState.RUNNING)
        live = releases.live(session, row.environment_id)
        row.previous_id = live.id if live else None
        session.flush()
    return load(session, rollout_id)


def note_step(session: Session, rollout_id: int, steps_done: int) -> None:
    session.get_one(RolloutRow, rollout_id).steps_done = steps_done


def note_image(session: Session, known: Release) -> None:
    """The image is pinned, the port is known."""
    row = session.get_one(ReleaseRow, known.id)
    row.image, row.port = known.image, known.settings.port


def note_address(session: Session, release_id: int, address: str | None) -> None:
    session.get_one(ReleaseRow, release_id).address = address


def go_live(session: Session, rollout_id: int, steps_done: int, *, clock: Clock) -> None:
    """The traffic has been switched: the new release is live, the old one retired."""
    row = session.get_one(RolloutRow, rollout_id)
    row.state = moved(RolloutState(row.state), RolloutState.CLEANING)
    row.steps_done = steps_done
    query = select(ReleaseRow).where(
        ReleaseRow.environment_id == row.environment_id, ReleaseRow.state == ReleaseState.LIVE
    )
    for other in session.scalars(query):
        other.state = ReleaseState.RETIRED
    session.flush()
    release = session.get_one(ReleaseRow, row.release_id)
    release.state, release.finished_at = ReleaseState.LIVE, clock.now()
    environment = session.get_one(EnvironmentRow, row.environment_id)
    environment.state, environment.updated_at = EnvironmentState.AVAILABLE, clock.now()
    emit(session, "deploy.release_live", _payload(environment, release), clock=clock)


def fail(session: Session, rollout_id: int, reason: str, *, clock: Clock) -> None:
    """It will not go live: the old release stays, the new container still has to be removed."""
    row = session.get_one(RolloutRow, rollout_id)
    row.state = moved(RolloutState(row.state), RolloutState.FAILING)
    row.reason = reason
    release = session.get_one(ReleaseRow, row.release_id)
    release.state, release.reason, release.finished_at = ReleaseState.FAILED, reason, clock.now()
    environment = session.get_one(EnvironmentRow, row.environment_id)
    emit(session, "deploy.rollout_failed", {**_payload(environment, release), "reason": reason}, clock=clock)


def keep_log(session: Session, release_id: int, log: str) -> None:
    row = session.get_one(ReleaseRow, release_id)
    row.container_log = row.container_log or log


def finish(session: Session, rollout_id: int) -> None:
    """Everything is cleaned up."""
    row = session.get_one(RolloutRow, rollout_id)
    to = RolloutState.FAILED if row.state == RolloutState.FAILING else RolloutState.DONE
    row.state = moved(RolloutState(row.state), to)


def say(session: Session, rollout_id: int, text: str, *, clock: Clock) -> None:
    """Adds to what the user is told; `text` may have several lines."""
    for line in text.splitlines() or [""]:
        session.add(LineRow(rollout_id=rollout_id, at=clock.now(), text=line))


def lines(session: Session, *, rollout_id: int, after: int = 0) -> list[str]:
    """What the user has been told, without the first `after` lines."""
    query = select(LineRow.text).where(LineRow.rollout_id == rollout_id).order_by(LineRow.id).offset(after)
    return list(session.scalars(query))


def stop(session: Session, environment_id: int, *, clock: Clock) -> Release | None:
    """Takes an environment out of service; returns the release that was live. Its place at the edge is free again
    once `vacate` is called."""
    row = session.get_one(EnvironmentRow, environment_id)
    row.state, row.updated_at = EnvironmentState.STOPPED, clock.now()
    live = releases.live(session, environment_id)
    if live is not None:
        retired = session.get_one(ReleaseRow, live.id)
        retired.state, retired.address = ReleaseState.RETIRED, None
    return live


def vacate(session: Session, environment_id: int) -> None:
    row = session.get_one(EnvironmentRow, environment_id)
    if row.state == EnvironmentState.STOPPED:
        row.slot = None


def _payload(environment: EnvironmentRow, release: ReleaseRow) -> dict[str, object]:
    return {
        "project_id": environment.project_id,
        "environment_id": environment.id,
        "environment": environment.name,
        "release_id": release.id,
        "number": release.number,
        "kind": release.kind,
        "job_id": release.job_id,
        "pipeline_id": release.pipeline_id,
    }
