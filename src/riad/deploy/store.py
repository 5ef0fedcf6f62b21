"""The tables of deploy, and rows as values."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from riad.deploy.model import (
    Environment,
    EnvironmentState,
    Kind,
    Origin,
    Release,
    ReleaseState,
    Rollout,
    RolloutState,
    Settings,
)
from riad.deploy.names import Tier
from riad.kernel.db import Base


class EnvironmentRow(Base):
    __tablename__ = "deploy_environment"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int]
    project_path: Mapped[str]
    name: Mapped[str]
    slug: Mapped[str]
    tier: Mapped[str]
    service: Mapped[str] = mapped_column(unique=True)
    slot: Mapped[int | None] = mapped_column(unique=True)
    external_url: Mapped[str | None]
    state: Mapped[str]
    last_number: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def value(self) -> Environment:
        return Environment(
            id=self.id,
            project_id=self.project_id,
            project_path=self.project_path,
            name=self.name,
            slug=self.slug,
            tier=Tier(self.tier),
            service=self.service,
            slot=self.slot,
            external_url=self.external_url,
            state=EnvironmentState(self.state),
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class ReleaseRow(Base):
    __tablename__ = "deploy_release"
    __table_args__ = (UniqueConstraint("environment_id", "number"), Index("ix_deploy_release_job_id", "job_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("deploy_environment.id", ondelete="CASCADE"))
    number: Mapped[int]
    kind: Mapped[str]
    state: Mapped[str]
    image: Mapped[str]
    image_name: Mapped[str]
    port: Mapped[int | None]
    health_path: Mapped[str | None]
    deadline: Mapped[int]
    environ: Mapped[dict[str, str]] = mapped_column(JSON)
    sha: Mapped[str | None]
    ref: Mapped[str | None]
    pipeline_id: Mapped[int | None]
    job_id: Mapped[int | None]
    user_id: Mapped[int | None]
    of: Mapped[int | None]
    reason: Mapped[str | None] = mapped_column(Text)
    address: Mapped[str | None]
    container_log: Mapped[str | None] = mapped_column(Text, deferred=True)
    """The end of what a failed release's container wrote; read only where it is asked for, not with every list."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    def value(self) -> Release:
        return Release(
            id=self.id,
            environment_id=self.environment_id,
            number=self.number,
            kind=Kind(self.kind),
            state=ReleaseState(self.state),
            image=self.image,
            image_name=self.image_name,
            settings=Settings(self.port, self.health_path, self.deadline, self.environ),
            origin=Origin(self.sha, self.ref, self.pipeline_id, self.job_id, self.user_id),
            of=self.of,
            reason=self.reason,
            address=self.address,
            created_at=self.created_at,
            finished_at=self.finished_at,
        )


class RolloutRow(Base):
    __tablename__ = "deploy_rollout"

    id: Mapped[int] = mapped_column(primary_key=True)
    release_id: Mapped[int] = mapped_column(ForeignKey("deploy_release.id", ondelete="CASCADE"), unique=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("deploy_environment.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(index=True)
    previous_id: Mapped[int | None]
    steps_done: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(Text)

    def value(self) -> Rollout:
        return Rollout(
            id=self.id,
            release_id=self.release_id,
            environment_id=self.environment_id,
            state=RolloutState(self.state),
            previous_id=self.previous_id,
            steps_done=self.steps_done,
            reason=self.reason,
        )


class LineRow(Base):
    """One line of what a roll-out says to the user."""

    __tablename__ = "deploy_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("deploy_rollout.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    text: Mapped[str] = mapped_column(Text)
