"""Keeping repositories quick. git's own automatic housekeeping is off: it would run inside somebody's push.

`tidy` gathers loose objects and small packs into few packs, and loose refs into one file. It removes nothing that is in
no other place: a commit that no branch has any more can still be a pipeline's. Safe while pushes and reads happen.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from sqlalchemy import select

from riad.forge import gitprogram
from riad.forge.repositories import Repositories
from riad.forge.store import ProjectRow
from riad.kernel import logs
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind

log = logs.named("forge")

MANY_LOOSE = 2000
MANY_PACKS = 50
DEADLINE = 1800.0


def is_due(repository: Path) -> bool:
    """Loose objects are estimated from one of their 256 folders, as git does it."""
    objects = repository / "objects"
    sample = objects / "17"
    loose = sum(1 for _ in sample.iterdir()) * 256 if sample.is_dir() else 0
    packs = sum(1 for _ in (objects / "pack").glob("*.pack"))
    return loose > MANY_LOOSE or packs > MANY_PACKS


def tidy(repository: Path) -> None:
    """Raises INTERNAL where git fails; the repository is as good as before then."""
    for command in (["repack", "-d", "--geometric=2", "--quiet"], ["pack-refs", "--all"]):
        done = subprocess.run(
            [gitprogram.GIT, "--git-dir", repository, *command],
            env=gitprogram.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise Fault(Kind.INTERNAL, f"git {command[0]} failed in {repository}: {said}")


def tidy_due(database: Database, repositories: Repositories) -> int:
    """Tidies every repository that needs it; returns how many. Blocking, for a quiet hour."""
    with database.read() as session:
        found = session.scalars(select(ProjectRow.storage)).all()
    tidied = 0
    for storage in found:
        try:
            path = repositories.existing(storage)
            if is_due(path):
                tidy(path)
                tidied += 1
        except Fault as fault:
            log.warning("housekeeping failed: %s", fault, extra=logs.fields(storage=storage))
    return tidied
