"""The registry's tables and the questions asked of them.

A blob (layer, configuration or manifest body) is one `BlobRow` and one entry of the `BlobStore`; a repository sees it
through a `LinkRow` (blobs) or a `ManifestRow` (manifests). `touched_at` of both is the grace that protects a push in
progress from garbage collection: whoever is about to rely on a row moves it to now in the same transaction.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from riad.kernel.db import Base

_DIGEST = String(140)


class RepositoryRow(Base):
    __tablename__ = "registry_repository"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    created_at: Mapped[datetime]


class BlobRow(Base):
    __tablename__ = "registry_blob"

    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    touched_at: Mapped[datetime] = mapped_column(index=True)


class LinkRow(Base):
    """A repository may read this blob."""

    __tablename__ = "registry_link"

    repository_id: Mapped[int] = mapped_column(
        ForeignKey("registry_repository.id", ondelete="CASCADE"), primary_key=True
    )
    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True, index=True)
    touched_at: Mapped[datetime] = mapped_column(index=True)


class ManifestRow(Base):
    __tablename__ = "registry_manifest"
    __table_args__ = (UniqueConstraint("repository_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("registry_repository.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(_DIGEST, index=True)
    media_type: Mapped[str] = mapped_column(String(255))
    artifact_type: Mapped[str | None] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    config_digest: Mapped[str | None] = mapped_column(_DIGEST)
    subject: Mapped[str | None] = mapped_column(_DIGEST, index=True)
    image_size: Mapped[int] = mapped_column(BigInteger)
    pushed_at: Mapped[datetime]


class ReferenceRow(Base):
    """A manifest needs this blob or, in an index, this manifest."""

    __tablename__ = "registry_reference"

    manifest_id: Mapped[int] = mapped_column(ForeignKey("registry_manifest.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(_DIGEST, primary_key=True, index=True)
    is_manifest: Mapped[bool]


class TagRow(Base):
    __tablename__ = "registry_tag"

    repository_id: Mapped[int] = mapped_column(
        ForeignKey("registry_repository.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    manifest_id: Mapped[int] = mapped_column(ForeignKey("registry_manifest.id", ondelete="CASCADE"), index=True)
    updated_at: Mapped[datetime]


class UploadRow(Base):
    __tablename__ = "registry_upload"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("registry_repository.id", ondelete="CASCADE"))
    offset: Mapped[int] = mapped_column(BigInteger)
    touched_at: Mapped[datetime] = mapped_column(index=True)


class PolicyRow(Base):
    """What a project may keep and for how long (`policy`). Without a row: everything, for ever."""

    __tablename__ = "registry_policy"

    project_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    quota: Mapped[int | None] = mapped_column(BigInteger)
    enabled: Mapped[bool]
    cadence: Mapped[str] = mapped_column(String(16))
    keep_n: Mapped[int | None]
    older_than: Mapped[str | None] = mapped_column(String(16))
    name_regex: Mapped[str] = mapped_column(String(255))
    name_regex_keep: Mapped[str] = mapped_column(String(255))
    protected: Mapped[list[str]] = mapped_column(JSON)
    next_run: Mapped[datetime | None] = mapped_column(index=True)


class ReplicaRow(Base):
    """Where a project's tags are copied to (`replication`)."""

    __tablename__ = "registry_replica"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(index=True)
    target: Mapped[str] = mapped_column(String(500))
    username: Mapped[str] = mapped_column(String(255))
    password: Mapped[str] = mapped_column(String(4096))
    tags: Mapped[str] = mapped_column(String(255))
    copied_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(500))


def repository(session: Session, name: str) -> RepositoryRow | None:
    return session.scalars(select(RepositoryRow).where(RepositoryRow.name == name)).one_or_none()


def manifest(session: Session, repository_id: int, digest: str) -> ManifestRow | None:
    wanted = select(ManifestRow).where(ManifestRow.repository_id == repository_id, ManifestRow.digest == digest)
    return session.scalars(wanted).one_or_none()


def tagged(session: Session, repository_id: int, tag: str) -> ManifestRow | None:
    wanted = (
        select(ManifestRow)
        .join(TagRow, TagRow.manifest_id == ManifestRow.id)
        .where(TagRow.repository_id == repository_id, TagRow.name == tag)
    )
    return session.scalars(wanted).one_or_none()
