"""Manifests and tags of a repository: pushed, resolved, read, deleted.

A push is one transaction: every blob and manifest that the new manifest names is found (and protected from garbage
collection) in this repository, the body is kept by digest, the tag is moved. OCI distribution specification 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete as sql_delete
from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from riad.kernel import outbox
from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault
from riad.oci.digest import Digest, parse_digest
from riad.oci.reference import parse_tag
from riad.registry import blobs as blob_verbs
from riad.registry import document as documents
from riad.registry.document import Document
from riad.registry.faults import Reason, Refusal
from riad.registry.store import ManifestRow, ReferenceRow, RepositoryRow, TagRow, manifest, tagged

TAG_PUSHED = "registry.tag_pushed"


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """`size` is the manifest's own, `image_size` that of the configuration and layers it names; in bytes."""

    digest: str
    media_type: str
    size: int
    config_digest: str | None
    image_size: int
    subject: str | None
    artifact_type: str | None
    pushed_at: datetime


def put(
    session: Session,
    repository: RepositoryRow,
    reference: str,
    body: bytes,
    *,
    content_type: str,
    store: BlobStore,
    clock: Clock,
    whole: bool = True,
) -> ManifestInfo:
    """Keeps a manifest under a tag or its own digest. Not `whole`: what it names may come later, as into a cache.

    Raises MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID, TOO_LARGE, UNSUPPORTED.
    """
    found = documents.read(body, content_type)
    wanted = _digest_in(reference)
    tag = None if wanted is not None else _tag(reference)
    digest = _checked_digest(body, wanted)
    if whole:
        _require_parts(session, repository.id, found, clock=clock)
    blob_verbs.keep(session, store, digest, len(body), body, clock=clock)
    row = manifest(session, repository.id, digest) or _add(
        session, repository.id, digest, len(body), found, clock=clock
    )
    row.pushed_at = clock.now()
    if tag is not None:
        _move_tag(session, repository.id, tag, row.id, clock=clock)
        payload = {"project_id": repository.project_id, "repository": repository.name, "tag": tag, "digest": digest}
        if whole:
            outbox.emit(session, TAG_PUSHED, payload, clock=clock)
    session.flush()
    return _info(row)


def resolve(session: Session, repository: RepositoryRow, reference: str) -> ManifestInfo:
    """The manifest that a tag or digest names. Raises MANIFEST_UNKNOWN."""
    return _info(_row(session, repository, reference))


def read(store: BlobStore, info: ManifestInfo) -> bytes:
    with store.open(blob_verbs.key(info.digest)) as file:
        return file.read()


def delete(session: Session, repository: RepositoryRow, reference: str) -> None:
    """Forgets a tag, or a manifest with all its tags. Raises MANIFEST_UNKNOWN, IN_USE (an index names it)."""
    row = _row(session, repository, reference)
    if _digest_in(reference) is None:
        chosen = (TagRow.repository_id == repository.id, TagRow.name == reference)
        session.execute(sql_delete(TagRow).where(*chosen))
        return
    if session.scalar(select(_named_by_an_index(repository.id, row.digest))):
        raise Refusal(Reason.IN_USE, f"{row.digest} belongs to an image index of this repository; delete that first")
    session.delete(row)


def _named_by_an_index(repository_id: int, digest: str) -> exists:  # type: ignore[valid-type]
    return exists().where(
        ReferenceRow.digest == digest,
        ReferenceRow.is_manifest.is_(True),
        ReferenceRow.manifest_id == ManifestRow.id,
        ManifestRow.repository_id == repository_id,
    )


def _row(session: Session, repository: RepositoryRow, reference: str) -> ManifestRow:
    digest = _digest_in(reference)
    found = manifest(session, repository.id, digest) if digest else tagged(session, repository.id, reference)
    if found is None:
        message = f"{repository.name} has no image {reference[:140]}"
        raise Refusal(Reason.MANIFEST_UNKNOWN, message, detail={"reference": reference[:140]})
    return found


def _digest_in(reference: str) -> Digest | None:
    if ":" not in reference:
        return None
    try:
        return parse_digest(reference)
    except Fault as fault:
        raise Refusal(Reason.DIGEST_INVALID, fault.message) from None


def _tag(reference: str) -> str:
    try:
        return parse_tag(reference)
    except Fault:
        message = f'"{reference[:140]}" is not a tag: up to 128 of letters, digits, "_ . -"'
        raise Refusal(Reason.MANIFEST_INVALID, message) from None


def _checked_digest(body: bytes, wanted: Digest | None) -> str:
    hasher = wanted.hasher() if wanted is not None else parse_digest("sha256:" + "0" * 64).hasher()
    hasher.update(body)
    actual = f"{hasher.name}:{hasher.hexdigest()}"
    if wanted is not None and actual != wanted:
        raise Refusal(Reason.DIGEST_INVALID, f"the manifest's digest is {actual}, not {wanted}")
    return actual


def _require_parts(session: Session, repository_id: int, found: Document, *, clock: Clock) -> None:
    missing = found.blobs - blob_verbs.touch(session, repository_id, set(found.blobs), clock=clock)
    if missing:
        raise _missing(missing, "blob")
    chosen = (ManifestRow.repository_id == repository_id, ManifestRow.digest.in_(found.manifests))
    session.execute(update(ManifestRow).where(*chosen).values(pushed_at=clock.now()))
    missing = found.manifests - set(session.scalars(select(ManifestRow.digest).where(*chosen)))
    if missing:
        raise _missing(missing, "manifest")


def _missing(digests: frozenset[str], what: str) -> Refusal:
    first = min(digests)
    message = f"the manifest names {what} {first}, which this repository does not have; push it first"
    return Refusal(Reason.MANIFEST_BLOB_UNKNOWN, message, detail={"digest": first})


def _add(session: Session, repository_id: int, digest: str, size: int, found: Document, *, clock: Clock) -> ManifestRow:
    row = ManifestRow(
        repository_id=repository_id,
        digest=digest,
        media_type=found.media_type,
        artifact_type=found.artifact_type,
        size=size,
        config_digest=found.config_digest,
        subject=found.subject,
        image_size=found.image_size,
        pushed_at=clock.now(),
    )
    session.add(row)
    session.flush()
    for named, is_manifest in ((found.blobs, False), (found.manifests, True)):
        session.add_all(ReferenceRow(manifest_id=row.id, digest=d, is_manifest=is_manifest) for d in sorted(named))
    return row


def _move_tag(session: Session, repository_id: int, tag: str, manifest_id: int, *, clock: Clock) -> None:
    row = session.get(TagRow, (repository_id, tag))
    if row is None:
        row = TagRow(repository_id=repository_id, name=tag, manifest_id=manifest_id, updated_at=clock.now())
        session.add(row)
    row.manifest_id = manifest_id
    row.updated_at = clock.now()


def _info(row: ManifestRow) -> ManifestInfo:
    return ManifestInfo(
        digest=row.digest,
        media_type=row.media_type,
        size=row.size,
        config_digest=row.config_digest,
        image_size=row.image_size,
        subject=row.subject,
        artifact_type=row.artifact_type,
        pushed_at=row.pushed_at,
    )
