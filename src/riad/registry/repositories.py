"""Finding a repository, and making it at the first push."""

from __future__ import annotations

from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from riad.kernel.clock import Clock
from riad.registry.faults import Reason, Refusal
from riad.registry.names import Projects, RepositoryName, project_of
from riad.registry.store import PolicyRow, ReplicaRow, RepositoryRow, repository


def get(session: Session, name: RepositoryName) -> RepositoryRow:
    """Raises NAME_UNKNOWN."""
    found = repository(session, name.text)
    if found is None:
        raise Refusal(Reason.NAME_UNKNOWN, f"no image has been pushed to {name}", detail={"name": name.text})
    return found


def ensure(session: Session, name: RepositoryName, *, projects: Projects, clock: Clock) -> RepositoryRow:
    """The repository, made where it is missing. Raises NAME_UNKNOWN where no project carries the name."""
    found = repository(session, name.text)
    if found is not None:
        return found
    project = project_of(session, projects, name)
    if project is None:
        message = f"{name}: an image needs a project of that name; create the project first"
        raise Refusal(Reason.NAME_UNKNOWN, message, detail={"name": name.text})
    return ensure_for(session, name, project_id=project.id, clock=clock)


def ensure_for(session: Session, name: RepositoryName, *, project_id: int, clock: Clock) -> RepositoryRow:
    """The repository, made for this project where it is missing."""
    found = repository(session, name.text)
    if found is not None:
        return found
    row = RepositoryRow(project_id=project_id, name=name.text, created_at=clock.now())
    session.add(row)
    session.flush()
    return row


def forget_project(session: Session, project_id: int) -> None:
    """Removes the repositories of a deleted project; garbage collection frees their bytes."""
    for table in (RepositoryRow, PolicyRow, ReplicaRow):
        session.execute(sql_delete(table).where(table.project_id == project_id))


def delete(session: Session, row: RepositoryRow) -> None:
    """Forgets a repository with its tags; garbage collection frees the bytes."""
    session.execute(sql_delete(RepositoryRow).where(RepositoryRow.id == row.id))
