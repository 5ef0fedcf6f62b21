"""The repositories as pipelines take them: files, paths and checkouts at a commit, by project id.

Every question opens the repository anew, so one `ForgeSource` serves all threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from riad.forge import projects
from riad.forge.checkout import Wanted, checkout
from riad.forge.model import BRANCHES, TAGS, Project
from riad.forge.repositories import Repositories
from riad.forge.repository import Repository
from riad.forge.tree import EntryKind
from riad.kernel.db import Database
from riad.kernel.faults import Fault, Kind, invalid

LARGEST_FILE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """`author` is `Name <address>`."""

    sha: str
    short_sha: str
    title: str
    message: str
    author: str
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Resolved:
    """`ref` is the short name of a branch or tag."""

    ref: str
    is_tag: bool
    sha: str


class ForgeSource:
    """Raises NOT_FOUND for an unknown project or commit. `temporary` is where checkouts are made."""

    def __init__(self, database: Database, repositories: Repositories, *, temporary: Path) -> None:
        self._database = database
        self._repositories = repositories
        self._temporary = temporary

    def _project(self, project_id: int) -> Project:
        with self._database.read() as session:
            return projects.get(session, project_id)

    def repository(self, project_id: int) -> Repository:
        return Repository(self._repositories.existing(self._project(project_id).storage))

    def read_file(self, project_id: int, sha: str, path: str) -> bytes | None:
        """None where there is no such file. Raises INVALID for one above 4 MiB."""
        blob = self.repository(project_id).blob(sha, path, limit=LARGEST_FILE)
        if blob is None:
            return None
        if blob.truncated:
            raise invalid(f"{path} is larger than {LARGEST_FILE // 2**20} MiB ({blob.size} bytes)")
        return blob.data

    def list_paths(self, project_id: int, sha: str) -> list[str]:
        """Every file (and symbolic link), in git's order; no folders."""
        return [e.path for e in self.repository(project_id).walk(sha) if e.kind is EntryKind.BLOB]

    def changed_paths(self, project_id: int, before: str, after: str) -> list[str]:
        """Sorted; every path where `before` is ZERO or not known any more."""
        return self.repository(project_id).changed_paths(before, after)

    def commit(self, project_id: int, sha: str) -> CommitInfo:
        found = self.repository(project_id).resolve(sha)
        return CommitInfo(
            sha=found.sha,
            short_sha=found.short_sha,
            title=found.title,
            message=found.message,
            author=str(found.author),
            committed_at=found.committer.at,
        )

    def resolve(self, project_id: int, ref: str) -> Resolved | None:
        """A branch or a tag, by its short or full name; a branch goes before a tag of the same name."""
        repository = self.repository(project_id)
        short = ref.removeprefix(BRANCHES).removeprefix(TAGS)
        if not ref.startswith(TAGS):
            branch = repository.branch(short)
            if branch is not None:
                return Resolved(ref=short, is_tag=False, sha=branch.commit.sha)
        if not ref.startswith(BRANCHES):
            tag = repository.tag(short)
            if tag is not None:
                return Resolved(ref=short, is_tag=True, sha=tag.commit.sha)
        return None

    def checkout_tar(self, project_id: int, sha: str, ref: str, *, depth: int | None = 20, remote_url: str) -> BinaryIO:
        """A tar of the working tree at `sha` with a usable `.git`; see `checkout`. The caller closes it.

        `ref` is a full name, or the short name of a branch or tag; one that is gone by now does no harm.
        `depth` None is the whole history.
        """
        if depth is not None and depth < 1:
            raise Fault(Kind.INVALID, f"a depth of {depth} is no depth: 1 or more, or None for the whole history")
        project = self._project(project_id)
        path = self._repositories.existing(project.storage)
        repository = Repository(path)
        commit = repository.resolve(sha)
        full = _full_name(repository, ref)
        tag = repository.tag(full.removeprefix(TAGS)) if full.startswith(TAGS) else None
        return checkout(
            path,
            Wanted(sha=commit.sha, ref=full, depth=depth, remote_url=remote_url),
            temporary=self._temporary,
            tag_is_there=tag is not None and tag.commit.sha == commit.sha,
        )


def _full_name(repository: Repository, ref: str) -> str:
    if ref.startswith("refs/") or not ref:
        return ref
    is_tag = repository.ref(BRANCHES + ref) is None and repository.ref(TAGS + ref) is not None
    return (TAGS if is_tag else BRANCHES) + ref
