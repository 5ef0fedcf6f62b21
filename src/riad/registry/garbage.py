"""Frees what no image needs: mark and sweep, safe while others push.

A push protects what it relies on by moving `touched_at` in its own transaction; everything younger than the grace
stays. A sweep deletes rows first and files before it commits: a crash in between leaves a row without a file that no
repository links to, which the next push of that digest or the next sweep repairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.db import Database
from riad.registry.blobs import key
from riad.registry.store import BlobRow, LinkRow, ManifestRow, ReferenceRow, RepositoryRow, TagRow, UploadRow
from riad.registry.uploads import Parts

GRACE = timedelta(hours=24)

Pinned = Callable[[Session], frozenset[str]]
"""The digests of images that something outside the registry (a kept release) still relies on."""


@dataclass(frozen=True, slots=True)
class Collected:
    uploads: int
    manifests: int
    blobs: int
    freed: int
    """In bytes."""


def collect(
    database: Database,
    store: BlobStore,
    parts: Parts,
    *,
    clock: Clock,
    grace: timedelta = GRACE,
    sweep_untagged: bool = False,
    pinned: Pinned = lambda _: frozenset(),
) -> Collected:
    """One collection. `sweep_untagged` also removes images without a tag, an index, a subject or a pin."""
    before = clock.now() - grace
    with database.write() as session:
        uploads = _abandoned_uploads(session, parts, before)
    manifests = 0
    if sweep_untagged:
        with database.write() as session:
            manifests = _untagged(session, before, pinned(session))
    with database.write() as session:
        _unused_links(session, before)
    blobs = freed = 0
    while swept := _sweep(database, store, before):
        blobs, freed = blobs + swept[0], freed + swept[1]
    return Collected(uploads, manifests, blobs, freed)


def _abandoned_uploads(session: Session, parts: Parts, before: datetime) -> int:
    rows = session.scalars(select(UploadRow).where(UploadRow.touched_at < before)).all()
    for row in rows:
        session.delete(row)
        parts.drop(row.id)
    session.flush()
    known = set(session.scalars(select(UploadRow.id)))
    for file in parts.folder.glob("*-*-*-*-*"):
        if file.name not in known and file.stat().st_mtime < before.timestamp():
            file.unlink(missing_ok=True)
    return len(rows)


def _untagged(session: Session, before: datetime, pinned: frozenset[str]) -> int:
    removed = 0
    while True:  # an index that goes may leave its images without a holder
        named = select(ReferenceRow.digest).join(ManifestRow, ManifestRow.id == ReferenceRow.manifest_id)
        held = named.where(ReferenceRow.is_manifest.is_(True), ManifestRow.repository_id == _OUTER.c.repository_id)
        wanted = select(_OUTER.c.id, _OUTER.c.digest).where(
            _OUTER.c.pushed_at < before,
            _OUTER.c.subject.is_(None),
            ~exists().where(TagRow.manifest_id == _OUTER.c.id),
            _OUTER.c.digest.not_in(held),
        )
        gone = [row_id for row_id, digest in session.execute(wanted) if digest not in pinned]
        if not gone:
            return removed
        session.execute(delete(ManifestRow).where(ManifestRow.id.in_(gone)))
        removed += len(gone)


_OUTER = ManifestRow.__table__.alias("outer_manifest")


def _unused_links(session: Session, before: datetime) -> None:
    needed = exists().where(
        ReferenceRow.digest == LinkRow.digest,
        ReferenceRow.manifest_id == ManifestRow.id,
        ManifestRow.repository_id == LinkRow.repository_id,
    )
    session.execute(delete(LinkRow).where(LinkRow.touched_at < before, ~needed).execution_options(**_BULK))
    session.execute(
        delete(RepositoryRow)
        .where(
            RepositoryRow.created_at < before,
            ~exists().where(ManifestRow.repository_id == RepositoryRow.id),
            ~exists().where(LinkRow.repository_id == RepositoryRow.id),
            ~exists().where(UploadRow.repository_id == RepositoryRow.id),
        )
        .execution_options(**_BULK)
    )


_BULK = {"synchronize_session": False}
_BATCH = 200  # a short transaction, so that pushes hardly wait


def _sweep(database: Database, store: BlobStore, before: datetime) -> tuple[int, int] | None:
    with database.write() as session:
        unused = (
            BlobRow.touched_at < before,
            ~exists().where(LinkRow.digest == BlobRow.digest),
            ~exists().where(ManifestRow.digest == BlobRow.digest),
        )
        chosen = session.scalars(select(BlobRow.digest).where(*unused).limit(_BATCH)).all()
        gone = session.execute(
            delete(BlobRow)
            .where(BlobRow.digest.in_(chosen), *unused)
            .returning(BlobRow.digest, BlobRow.size)
            .execution_options(**_BULK)
        ).all()
        for digest, _ in gone:
            store.delete(key(digest))
    return (len(gone), sum(size for _, size in gone)) if gone else None
