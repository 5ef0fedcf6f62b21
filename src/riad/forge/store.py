"""The tables of the forge."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from riad.kernel.db import Base


class ProjectRow(Base):
    __tablename__ = "forge_project"
    __table_args__ = (UniqueConstraint("group_id", "slug_key"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(index=True)
    slug: Mapped[str]
    slug_key: Mapped[str]
    """The slug in lower case: paths that differ only in case are one."""
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    visibility: Mapped[str]
    default_branch: Mapped[str]
    archived: Mapped[bool] = mapped_column(default=False)
    creator_id: Mapped[int | None]
    created_at: Mapped[datetime]
    last_activity_at: Mapped[datetime]
    storage: Mapped[str] = mapped_column(unique=True)


class RefRow(Base):
    """What has been announced of a ref: the commit that the last event about it named."""

    __tablename__ = "forge_ref"

    project_id: Mapped[int] = mapped_column(ForeignKey("forge_project.id", ondelete="CASCADE"), primary_key=True)
    ref: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str]


class PushRow(Base):
    """A push that was begun and is not announced yet; gone once it is."""

    __tablename__ = "forge_push"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("forge_project.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int]
    updates: Mapped[list[Any]] = mapped_column(JSON)
    """[[ref, before, after], …] as the client asked."""
    options: Mapped[list[Any]] = mapped_column(JSON)
    """`git push -o …`, each a text."""
    created_at: Mapped[datetime]
