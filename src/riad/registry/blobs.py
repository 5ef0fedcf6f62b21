"""Blobs of a repository: asked for, read, mounted from a neighbour, unlinked.

Linking relies on a row lock for PostgreSQL and on the single writer for SQLite: the blob's row is written before its
file is touched, by a push as by garbage collection, so the two never interleave on one digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete as sql_delete
from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.registry import quota
from riad.registry.faults import Reason, Refusal
from riad.registry.store import BlobRow, LinkRow, ManifestRow, ReferenceRow, RepositoryRow

STALE = timedelta(hours=1)
"""A link older than this is moved to now when a pusher is told that the blob is there."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    digest: str
    size: int


def key(digest: str) -> str:
    """Where a digest's bytes are in the `BlobStore`."""
    algorithm, encoded = digest.split(":", 1)
    return f"registry/blobs/{algorithm}/{encoded[:2]}/{encoded}"


def find(session: Session, repository_id: int, digest: str) -> BlobInfo:
    """A blob that this repository may read. Raises BLOB_UNKNOWN."""
    wanted = (
        select(BlobRow)
        .join(LinkRow, LinkRow.digest == BlobRow.digest)
        .where(LinkRow.repository_id == repository_id, LinkRow.digest == digest)
    )
    row = session.scalars(wanted).one_or_none()
    if row is None:
        raise unknown(digest)
    return BlobInfo(row.digest, row.size)


def unknown(digest: str) -> Refusal:
    return Refusal(Reason.BLOB_UNKNOWN, f"no blob {digest} in this repository", detail={"digest": digest})


def is_stale(session: Session, repository_id: int, digest: str, *, clock: Clock) -> bool:
    link = session.get(LinkRow, (repository_id, digest))
    return link is not None and link.touched_at < clock.now() - STALE


def touch(session: Session, repository_id: int, digests: set[str], *, clock: Clock) -> set[str]:
    """Protects these links from garbage collection for one more grace; returns those that exist."""
    if not digests:
        return set()
    chosen = (LinkRow.repository_id == repository_id, LinkRow.digest.in_(digests))
    session.execute(update(LinkRow).where(*chosen).values(touched_at=clock.now()))
    return set(session.scalars(select(LinkRow.digest).where(*chosen)))


def keep(session: Session, blobs: BlobStore, digest: str, size: int, file: Path | bytes, *, clock: Clock) -> None:
    """Stores a blob's bytes once: `file` is taken over, or dropped where the digest is already kept."""
    row = _row(session, digest, size, clock.now())
    known = blobs.size(key(digest)) == row.size
    if isinstance(file, bytes):
        if not known:
            with blobs.write(key(digest)) as target:
                target.write(file)
    elif known:
        file.unlink()
    else:
        blobs.adopt(key(digest), file)


def _row(session: Session, digest: str, size: int, now: datetime) -> BlobRow:
    """The blob's row, locked by this transaction and too fresh to be collected."""
    session.execute(update(BlobRow).where(BlobRow.digest == digest).values(touched_at=now))
    row = session.get(BlobRow, digest, populate_existing=True)
    if row is None:
        row = BlobRow(digest=digest, size=size, touched_at=now)
        session.add(row)
        session.flush()
    return row


def link(session: Session, repository: RepositoryRow, digest: str, *, clock: Clock) -> None:
    """Lets a repository read a kept blob. Raises QUOTA_EXCEEDED where its project may not keep so much."""
    if not touch(session, repository.id, {digest}, clock=clock):
        if not in_project(session, repository.project_id, digest):
            quota.require_room(session, repository.project_id, session.get_one(BlobRow, digest).size)
        session.add(LinkRow(repository_id=repository.id, digest=digest, touched_at=clock.now()))
        session.flush()


def in_project(session: Session, project_id: int, digest: str) -> bool:
    """Whether any repository of the project has the blob: then it costs no more room."""
    held = exists().where(
        LinkRow.digest == digest, LinkRow.repository_id == RepositoryRow.id, RepositoryRow.project_id == project_id
    )
    return bool(session.scalar(select(held)))


def mount(session: Session, source: RepositoryRow, target: RepositoryRow, digest: str, *, clock: Clock) -> bool:
    """Links a blob of `source` into another repository; False where the source has no such blob."""
    if not touch(session, source.id, {digest}, clock=clock):
        return False
    link(session, target, digest, clock=clock)
    return True


def holders(session: Session, digest: str, *, limit: int) -> list[str]:
    """Names of repositories that have the blob."""
    wanted = select(RepositoryRow.name).join(LinkRow, LinkRow.repository_id == RepositoryRow.id)
    return list(session.scalars(wanted.where(LinkRow.digest == digest).order_by(RepositoryRow.id).limit(limit)))


def unlink(session: Session, repository_id: int, digest: str) -> None:
    """Forgets a blob of one repository. Raises BLOB_UNKNOWN, IN_USE (a manifest needs it)."""
    find(session, repository_id, digest)
    needed = exists().where(
        ReferenceRow.digest == digest,
        ReferenceRow.manifest_id == ManifestRow.id,
        ManifestRow.repository_id == repository_id,
    )
    if session.scalar(select(needed)):
        raise Refusal(Reason.IN_USE, f"blob {digest} belongs to an image of this repository; delete the image first")
    session.execute(sql_delete(LinkRow).where(LinkRow.repository_id == repository_id, LinkRow.digest == digest))
