"""Environments: made by the first release to them, stopped, deleted."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from riad.deploy import names
from riad.deploy.model import Environment, EnvironmentState
from riad.deploy.store import EnvironmentRow
from riad.kernel import slugs
from riad.kernel.clock import Clock
from riad.kernel.faults import conflict, exhausted, not_found

SLOTS = 128
"""How many services the edge can carry at once."""


def ensure(
    session: Session,
    *,
    project_id: int,
    project_path: str,
    name: str,
    service: str | None = None,
    external_url: str | None = None,
    clock: Clock,
) -> Environment:
    """The environment of that name, made where it is missing, available again where it was stopped.

    `service` asks for a certain name at the edge. Raises CONFLICT where another environment has it, EXHAUSTED where
    the edge is full, INVALID for a bad name.
    """
    row = _row(session, project_id, names.environment_name(name))
    if row is None:
        row = _make(session, project_id, project_path, name, clock)
    if service is not None and row.service != service:
        _rename(session, row, names.service_name(service))
    row.slot = row.slot if row.slot is not None else _free_slot(session)
    row.state, row.updated_at = EnvironmentState.AVAILABLE, clock.now()
    row.external_url = names.external_url(external_url) if external_url else row.external_url
    session.flush()
    return row.value()


def get(session: Session, environment_id: int) -> Environment:
    row = session.get(EnvironmentRow, environment_id)
    if row is None:
        raise not_found(f"no environment {environment_id}")
    return row.value()


def of_project(session: Session, project_id: int) -> list[Environment]:
    """By name."""
    query = select(EnvironmentRow).where(EnvironmentRow.project_id == project_id).order_by(EnvironmentRow.name)
    return [row.value() for row in session.scalars(query)]


def find(session: Session, project_id: int, name: str | None) -> Environment:
    """By name or slug; without one, the only one or the production one. Raises NOT_FOUND or CONFLICT (which?)."""
    found = of_project(session, project_id)
    if name is not None:
        for environment in found:
            if name in (environment.name, environment.slug):
                return environment
        raise not_found(f'no environment "{name}" here; there is {_listed(found)}')
    if not found:
        raise not_found("nothing has been released here yet")
    production = [environment for environment in found if environment.tier is names.Tier.PRODUCTION]
    for choice in (found, production):
        if len(choice) == 1:
            return choice[0]
    raise conflict(f"this project has several environments; name one of {_listed(found)}")


def at_the_edge(session: Session) -> list[Environment]:
    """Every environment that has a place at the edge."""
    query = select(EnvironmentRow).where(EnvironmentRow.slot.is_not(None)).order_by(EnvironmentRow.slot)
    return [row.value() for row in session.scalars(query)]


def set_external_url(session: Session, environment_id: int, url: str | None, *, clock: Clock) -> Environment:
    """The address that users are shown; None or "": the service's own. Raises INVALID for what is not http(s)."""
    row = session.get_one(EnvironmentRow, environment_id)
    row.external_url, row.updated_at = names.external_url(url) if url else None, clock.now()
    session.flush()
    return row.value()


def delete(session: Session, environment_id: int) -> None:
    """Forgets it with all its releases. Raises CONFLICT unless it is stopped."""
    row = session.get(EnvironmentRow, environment_id)
    if row is None:
        raise not_found(f"no environment {environment_id}")
    if row.state != EnvironmentState.STOPPED:
        raise conflict(f"environment {row.name} is running; stop it first")
    session.delete(row)


def _row(session: Session, project_id: int, name: str) -> EnvironmentRow | None:
    query = select(EnvironmentRow).where(EnvironmentRow.project_id == project_id, EnvironmentRow.name == name)
    return session.scalars(query).one_or_none()


def _make(session: Session, project_id: int, project_path: str, name: str, clock: Clock) -> EnvironmentRow:
    count = select(func.count()).select_from(EnvironmentRow).where(EnvironmentRow.project_id == project_id)
    candidates = names.service_candidates(project_path, name, first=session.scalar(count) == 0)
    row = EnvironmentRow(
        project_id=project_id,
        project_path=project_path,
        name=name,
        slug=slugs.hashed(name),
        tier=names.tier(name),
        service=next(candidate for candidate in candidates if _owner(session, candidate) is None),
        state=EnvironmentState.AVAILABLE,
        last_number=0,
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    session.add(row)
    session.flush()
    return row


def _rename(session: Session, row: EnvironmentRow, service: str) -> None:
    owner = _owner(session, service)
    if owner is not None:
        raise conflict(
            f'the service name "{service}" belongs to environment {owner.name} of {owner.project_path}; '
            "choose another --name"
        )
    if row.last_number:
        raise conflict(
            f'environment {row.name} answers as "{row.service}" already; a service keeps its name '
            "(delete the environment to choose another)"
        )
    row.service = service


def _owner(session: Session, service: str) -> EnvironmentRow | None:
    return session.scalars(select(EnvironmentRow).where(EnvironmentRow.service == service)).one_or_none()


def _free_slot(session: Session) -> int:
    taken = set(session.scalars(select(EnvironmentRow.slot).where(EnvironmentRow.slot.is_not(None))))
    for slot in range(1, SLOTS + 1):
        if slot not in taken:
            return slot
    raise exhausted(f"the edge carries {SLOTS} services already; stop an environment that is not needed any more")


def _listed(found: Iterable[Environment]) -> str:
    return ", ".join(f'"{environment.name}"' for environment in found) or "none yet"
