"""How a push is never lost, whatever is killed.

git itself moves the refs; the database learns of it afterwards. Between the two anything may die. So:

1. `begin` writes the intention: who pushes which refs to what. Committed before git sees a byte of the push.
2. git runs. The client's answer is held back.
3. `settle` compares what the refs are now with what was last announced of them (`forge_ref`), announces the difference
   as `forge.ref_pushed` events and removes the intention, all in one transaction. Then the client is answered.

A push that was answered has been announced. A push cut off between 2 and 3 left its intention: `recover` settles it
at the next start, and what was never acknowledged is announced if and only if git had done it.

Several pushes to one project may run at once. Where git's report of a push is at hand, exactly what it accepted is
announced, so that two quick pushes to one ref are two events with their own authors. Where it is not (a restart),
the difference is announced as one event. Either way the events of a ref end at what the ref is.

A git process outlives the server that started it by moments (its pipes close), and may still move refs then. Each holds
a shared lock on the repository's `riad.lock` while it lives; `recover` waits for them by taking it alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from riad.forge import projects
from riad.forge.model import BRANCHES, TAGS, ZERO, RefUpdate
from riad.forge.repositories import Repositories
from riad.forge.repository import Repository
from riad.forge.store import ProjectRow, PushRow, RefRow
from riad.kernel import logs
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.kernel.faults import Fault
from riad.kernel.outbox import emit

log = logs.named("forge")

PUSHED = "forge.ref_pushed"
"""`{project_id, ref, before, after, user_id, options}`; `ref` in full, ZERO for no commit (a new or deleted ref)."""


def begin(
    session: Session,
    *,
    project_id: int,
    user_id: int,
    updates: Sequence[RefUpdate],
    options: Sequence[str] = (),
    clock: Clock,
) -> int:
    """The intention's id. Its transaction has to be committed before git is started."""
    row = PushRow(
        project_id=project_id,
        user_id=user_id,
        updates=[[update.ref, update.before, update.after] for update in updates],
        options=list(options),
        created_at=clock.now(),
    )
    session.add(row)
    session.flush()
    return row.id


def settle(
    session: Session, repositories: Repositories, push_id: int, *, accepted: frozenset[str] | None, clock: Clock
) -> list[RefUpdate]:
    """Announces what the push has done, and ends it. May be called again: a settled push does nothing.

    `accepted` are the refs that git reported as done; None where its report was lost.
    """
    push = session.get(PushRow, push_id)
    if push is None:
        return []
    project = session.get_one(ProjectRow, push.project_id)
    repository = Repository(repositories.existing(project.storage))
    asked = [RefUpdate(*update) for update in push.updates]
    actual = {update.ref: repository.ref(update.ref) or ZERO for update in asked}
    happened = _happened(asked, _announced(session, project.id, actual), actual, accepted)
    for update in happened:
        payload = {
            "project_id": project.id,
            "ref": update.ref,
            "before": update.before,
            "after": update.after,
            "user_id": push.user_id,
            "options": push.options,
        }
        emit(session, PUSHED, payload, clock=clock)
    _record(session, project.id, actual)
    if happened:
        projects.touch(session, project.id, clock=clock)
        _follow_first_branch(project, repository, happened)
    session.delete(push)
    session.flush()
    return happened


def _happened(
    asked: Sequence[RefUpdate],
    announced: Mapping[str, str],
    actual: Mapping[str, str],
    accepted: frozenset[str] | None,
) -> list[RefUpdate]:
    """What to announce of the branches and tags of a push."""
    found = []
    for update in asked:
        if not update.ref.startswith((BRANCHES, TAGS)):
            continue
        if accepted is None:
            update = RefUpdate(update.ref, announced.get(update.ref, ZERO), actual[update.ref])
        elif update.ref not in accepted:
            continue
        if update.before != update.after:
            found.append(update)
    return found


def _announced(session: Session, project_id: int, refs: Mapping[str, str]) -> dict[str, str]:
    rows = session.scalars(select(RefRow).where(RefRow.project_id == project_id, RefRow.ref.in_(list(refs))))
    return {row.ref: row.target for row in rows}


def _record(session: Session, project_id: int, actual: Mapping[str, str]) -> None:
    for ref, target in actual.items():
        row = session.get(RefRow, (project_id, ref))
        if target == ZERO:
            if row is not None:
                session.delete(row)
        elif row is None:
            session.add(RefRow(project_id=project_id, ref=ref, target=target))
        else:
            row.target = target


def _follow_first_branch(project: ProjectRow, repository: Repository, happened: Sequence[RefUpdate]) -> None:
    """Where the default branch does not exist, the first branch that is pushed takes its place."""
    if repository.ref(BRANCHES + project.default_branch) is not None:
        repository.set_default_branch(project.default_branch)
        return
    pushed = [u.ref.removeprefix(BRANCHES) for u in happened if u.ref.startswith(BRANCHES) and u.after != ZERO]
    usual = [name for name in ("main", "master") if name in pushed]
    first = next(iter(usual + pushed), None)
    if first is not None:
        project.default_branch = first
        repository.set_default_branch(first)


@contextmanager
def in_progress(repository: Path) -> Iterator[int]:
    """A file descriptor to hand to the git process (`pass_fds`): while it is open anywhere, git may move refs."""
    handle = os.open(repository / "riad.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield handle
    finally:
        os.close(handle)


def recover(database: Database, repositories: Repositories, *, clock: Clock, patience: float = 10) -> int:
    """Settles every push that was cut off; returns how many. For the server's start, before it serves.

    Waits up to `patience` seconds in all for git processes of the server before.
    """
    deadline = time.monotonic() + patience
    with database.read() as session:
        rows = session.execute(
            select(PushRow.id, ProjectRow.storage).join(ProjectRow, ProjectRow.id == PushRow.project_id)
        ).all()
    for push_id, storage in rows:
        try:
            _wait_for_git(repositories.existing(storage), deadline)
            with database.write() as session:
                happened = settle(session, repositories, push_id, accepted=None, clock=clock)
        except Fault as fault:
            log.warning("push not recovered: %s", fault, extra=logs.fields(push=push_id))
        else:
            log.info("push recovered", extra=logs.fields(push=push_id, refs=[update.ref for update in happened]))
    return len(rows)


def _wait_for_git(repository: Path, deadline: float) -> None:
    handle = os.open(repository / "riad.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    log.warning("git still runs on a repository", extra=logs.fields(repository=repository))
                    return
                time.sleep(0.02)
    finally:
        os.close(handle)
