"""Commits and refs as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pygit2


@dataclass(frozen=True, slots=True)
class Person:
    """Who made a commit, and when, in their own timezone."""

    name: str
    email: str
    at: datetime

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


@dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    message: str
    author: Person
    committer: Person
    parents: tuple[str, ...]

    @property
    def short_sha(self) -> str:
        return self.sha[:8]

    @property
    def title(self) -> str:
        """The message's first paragraph on one line, as git shows it."""
        return " ".join(self.message.strip().partition("\n\n")[0].split())


@dataclass(frozen=True, slots=True)
class Branch:
    name: str
    commit: Commit


@dataclass(frozen=True, slots=True)
class Tag:
    """`target` is the tag object of an annotated tag, else the commit; `message` is None for a lightweight one."""

    name: str
    target: str
    message: str | None
    commit: Commit


def commit_value(commit: pygit2.Commit) -> Commit:
    return Commit(
        sha=str(commit.id),
        message=_text(commit.raw_message),
        author=_person(commit.author),
        committer=_person(commit.committer),
        parents=tuple(str(parent) for parent in commit.parent_ids),
    )


def _person(signature: pygit2.Signature) -> Person:
    return Person(
        name=_text(signature.raw_name),
        email=_text(signature.raw_email),
        at=_moment(signature.time, signature.offset),
    )


def _moment(seconds: int, offset: int) -> datetime:
    """Histories hold times and timezones that no calendar has; those are shown at the epoch, or in UTC."""
    try:
        zone = timezone(timedelta(minutes=offset))
        return datetime.fromtimestamp(seconds, zone)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds if 0 <= seconds < 2**32 else 0, UTC)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace").replace("\0", "")
