"""What a registry holds, for people and for clients that page through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from riad.kernel.blobs import BlobStore
from riad.kernel.faults import Fault
from riad.oci import media
from riad.oci.config import parse_image_config
from riad.oci.manifest import LARGEST_MANIFEST, Index, parse_manifest
from riad.registry import document as documents
from riad.registry import repositories
from riad.registry.blobs import key
from riad.registry.manifests import ManifestInfo, resolve
from riad.registry.names import RepositoryName
from riad.registry.store import ManifestRow, RepositoryRow, TagRow


@dataclass(frozen=True, slots=True)
class TagInfo:
    name: str
    digest: str
    media_type: str
    image_size: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    id: int
    name: str
    project_id: int
    tags: int
    updated_at: datetime | None


def repositories_of(session: Session, project_id: int) -> list[RepositoryInfo]:
    """A project's image repositories by name."""
    counted = (
        select(RepositoryRow, func.count(TagRow.name), func.max(TagRow.updated_at))
        .outerjoin(TagRow, TagRow.repository_id == RepositoryRow.id)
        .where(RepositoryRow.project_id == project_id)
        .group_by(RepositoryRow.id)
        .order_by(RepositoryRow.name)
    )
    return [RepositoryInfo(r.id, r.name, r.project_id, tags, latest) for r, tags, latest in session.execute(counted)]


def repositories_of_group(session: Session, project_ids: Iterable[int]) -> list[RepositoryInfo]:
    """The image repositories of several projects."""
    return [found for project_id in project_ids for found in repositories_of(session, project_id)]


def tags_of(session: Session, repository_id: int) -> list[TagInfo]:
    """The tags of a repository, the newest first."""
    wanted = (
        select(TagRow, ManifestRow)
        .join(ManifestRow, ManifestRow.id == TagRow.manifest_id)
        .where(TagRow.repository_id == repository_id)
        .order_by(TagRow.updated_at.desc(), TagRow.name)
    )
    return [
        TagInfo(tag.name, row.digest, row.media_type, row.image_size, tag.updated_at)
        for tag, row in session.execute(wanted)
    ]


def tag_names(session: Session, repository_id: int, *, after: str, limit: int) -> list[str]:
    """In lexical order by bytes, beginning after `after` (OCI distribution, "Listing Tags")."""
    names = session.scalars(select(TagRow.name).where(TagRow.repository_id == repository_id))
    return sorted(name for name in names if name > after)[:limit]


def names(session: Session, *, after: str) -> Iterator[tuple[str, int]]:
    """Every repository's name and project after `after`, in lexical order."""
    found = session.execute(select(RepositoryRow.name, RepositoryRow.project_id)).all()
    yield from sorted((name, project_id) for name, project_id in found if name > after)


def referrers(
    session: Session, store: BlobStore, repository_id: int, subject: str, *, artifact_type: str | None
) -> list[dict[str, Any]]:
    """Descriptors of the manifests whose subject is `subject` (OCI distribution, "Listing Referrers")."""
    wanted = select(ManifestRow).where(ManifestRow.repository_id == repository_id, ManifestRow.subject == subject)
    if artifact_type is not None:
        wanted = wanted.where(ManifestRow.artifact_type == artifact_type)
    return [_referrer(row, store) for row in session.scalars(wanted.order_by(ManifestRow.id))]


def _referrer(row: ManifestRow, store: BlobStore) -> dict[str, Any]:
    with store.open(key(row.digest)) as file:
        annotations = documents.read(file.read(), row.media_type).annotations
    found: dict[str, Any] = {"mediaType": row.media_type, "digest": row.digest, "size": row.size}
    if row.artifact_type:
        found["artifactType"] = row.artifact_type
    if annotations:
        found["annotations"] = dict(annotations)
    return found


def find(session: Session, repository_name: str, reference: str) -> ManifestInfo:
    """The image `repository_name:reference`. Raises NAME_UNKNOWN, MANIFEST_UNKNOWN, INVALID."""
    return resolve(session, repositories.get(session, RepositoryName.parse(repository_name)), reference)


def exposed_ports(session: Session, store: BlobStore, repository_name: str, reference: str) -> tuple[int, ...]:
    """The TCP ports that the image's configuration exposes, lowest first; of an index, those of its first image."""
    repository = repositories.get(session, RepositoryName.parse(repository_name))
    info = resolve(session, repository, reference)
    if info.media_type in media.INDEXES:
        with store.open(key(info.digest)) as file:
            index = parse_manifest(file.read(), info.media_type)
        if not isinstance(index, Index) or not index.manifests:
            return ()
        info = resolve(session, repository, index.manifests[0].digest)
    return _ports(store, info.config_digest) if info.config_digest else ()


def _ports(store: BlobStore, config_digest: str) -> tuple[int, ...]:
    with store.open(key(config_digest)) as file:
        body = file.read(LARGEST_MANIFEST)
    try:
        exposed = parse_image_config(body).config.exposed_ports
    except Fault:
        return ()  # an artifact's configuration is anything
    ports = (port.partition("/") for port in exposed)
    return tuple(sorted(int(number) for number, _, kind in ports if number.isdigit() and kind in ("", "tcp")))
