"""A forge to put projects into, and a stock git that knows nothing of this machine's settings."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from riad.forge import projects
from riad.forge.model import Project
from riad.forge.repositories import Repositories
from riad.forge.repository import Repository
from riad.identity import groups, members, tokens, users
from riad.identity.model import Access, Kind, Principal, User, Visibility
from riad.kernel.clock import FixedClock
from riad.kernel.db import Database
from riad.kernel.outbox import EventRow

CLOCK = FixedClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@dataclass
class Git:
    """Runs git in `home`; answers carry what it said on both streams."""

    home: Path

    def __call__(self, *arguments: str | Path, cwd: Path | None = None, check: bool = True) -> str:
        done = self.run(*arguments, cwd=cwd)
        assert not check or done.returncode == 0, done.stdout
        assert check or done.returncode != 0, done.stdout
        return done.stdout.strip()

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *map(str, arguments)],
            cwd=cwd or self.home,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        people = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _ADA.items()}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
            **people,
        }

    def repository(self, name: str, **files: str) -> Path:
        """A working copy with one commit of `files` (`_` in a name stands for a dot)."""
        folder = self.home / name
        self("init", "--quiet", "--initial-branch=main", folder)
        self.commit(folder, "First", **(files or {"README_md": "Hello\n"}))
        return folder

    def commit(self, folder: Path, message: str, **files: str) -> str:
        for file, text in files.items():
            (folder / file.replace("_", ".")).write_text(text)
        self("add", "--all", cwd=folder)
        self("commit", "--quiet", "--allow-empty", "--message", message, cwd=folder)
        return self("rev-parse", "HEAD", cwd=folder)


_ADA = {"NAME": "Ada Lovelace", "EMAIL": "ada@example.com"}


@dataclass
class Forge:
    database: Database
    repositories: Repositories
    folder: Path
    address: str = ""

    def user(self, name: str, *, is_admin: bool = False) -> User:
        with self.database.write() as session:
            return users.create(session, username=name, password=f"secret-of-{name}", is_admin=is_admin, clock=CLOCK)

    def project(
        self, owner: User, slug: str = "hello", *, visibility: Visibility = Visibility.PRIVATE, group: str = "demo"
    ) -> Project:
        actor = Principal(user=owner, kind=Kind.SESSION, scopes=frozenset({"api"}))
        with self.database.write() as session:
            home = groups.by_path(session, group) or groups.create(session, actor, path=group, clock=CLOCK)
            return projects.create(
                session,
                actor,
                repositories=self.repositories,
                group=home,
                slug=slug,
                visibility=visibility,
                clock=CLOCK,
            )

    def again(self, project: Project) -> Project:
        with self.database.read() as session:
            return projects.get(session, project.id)

    def member(self, project: Project, user: User, access: Access) -> None:
        with self.database.write() as session:
            members.set(session, source="project", source_id=project.id, user_id=user.id, access=access, clock=CLOCK)

    def token(self, user: User, *scopes: str) -> str:
        with self.database.write() as session:
            return tokens.create_personal(session, user.id, "t", scopes or ("api",), clock=CLOCK)[1]

    def job_token(self, user: User, project: Project) -> str:
        with self.database.write() as session:
            return tokens.issue_job(session, user_id=user.id, project_id=project.id, job_id=1, clock=CLOCK)

    def url(self, path: str, user: User | None = None, password: str | None = None) -> str:
        credentials = f"{user.username}:{password or 'secret-of-' + user.username}@" if user is not None else ""
        return self.address.replace("://", f"://{credentials}") + f"/{path}"

    def events(self, kind: str = "forge.ref_pushed") -> list[dict[str, object]]:
        with self.database.read() as session:
            rows = session.scalars(select(EventRow).where(EventRow.kind == kind).order_by(EventRow.id))
            return [dict(row.payload) for row in rows]

    def repository(self, project: Project) -> Repository:
        return Repository(self.repositories.existing(project.storage))
