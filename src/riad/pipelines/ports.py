"""What pipelines need of their neighbours. `server/wiring.py` hands it in; nothing else of them is known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """`path` is GROUP/NAME, `visibility` private, internal or public."""

    id: int
    path: str
    name: str
    group_id: int
    default_branch: str
    visibility: str = "private"
    description: str = ""

    @property
    def namespace(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def slug(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class UserFacts:
    id: int
    username: str
    name: str
    email: str


class CommitFacts(Protocol):
    """`author` is `Name <address>`."""

    @property
    def sha(self) -> str: ...
    @property
    def short_sha(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def author(self) -> str: ...
    @property
    def committed_at(self) -> datetime: ...


class ResolvedRef(Protocol):
    """`ref` is the short name of a branch or tag."""

    @property
    def ref(self) -> str: ...
    @property
    def is_tag(self) -> bool: ...
    @property
    def sha(self) -> str: ...


class Projects(Protocol):
    def get(self, project_id: int) -> ProjectFacts:
        """Raises NOT_FOUND."""


class Users(Protocol):
    def get(self, user_id: int) -> UserFacts | None: ...


class Source(Protocol):
    """The projects' repositories, reading only; thread-safe. Everything raises NOT_FOUND for an unknown commit."""

    def read_file(self, project_id: int, sha: str, path: str) -> bytes | None: ...

    def list_paths(self, project_id: int, sha: str) -> Sequence[str]: ...

    def changed_paths(self, project_id: int, before: str, after: str) -> Sequence[str]: ...

    def commit(self, project_id: int, sha: str) -> CommitFacts: ...

    def resolve(self, project_id: int, ref: str) -> ResolvedRef | None:
        """A branch or tag by its short or full name."""

    def checkout_tar(self, project_id: int, sha: str, ref: str, *, depth: int | None, remote_url: str) -> BinaryIO:
        """A tar of the working tree at `sha` with a usable `.git` (detached HEAD, origin = remote_url), names from the
        project's folder on. `depth` None is the whole history. The caller closes it."""


class JobTokens(Protocol):
    """Secrets that let a running job act for its user on its project; thread-safe."""

    def issue(self, *, user_id: int, project_id: int, job_id: int) -> str: ...

    def revoke(self, job_id: int) -> None: ...


class ScopedSockets(Protocol):
    """Engine sockets that show and allow only one project's things."""

    async def open(self, project_path: str, job_id: int) -> str | None:
        """The socket's path on the engine's host: `docker.sock`, alone in its folder; None where there is none to give.

        May be called again, also after a restart: then a new socket takes its place in the same folder.
        """

    async def close(self, job_id: int) -> None: ...


class NoSockets:
    async def open(self, project_path: str, job_id: int) -> str | None:
        return None

    async def close(self, job_id: int) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Server:
    """How jobs see the server: `url` is the address users know, `riad_url` one that works inside job containers."""

    url: str
    registry: str
    riad_url: str = ""
    version: str = "0.1.0"
    name: str = "Riad"
