"""The tables of identity. Secrets are here only as hashes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from riad.identity.model import Group, User, Visibility
from riad.kernel.db import Base

NEVER_REUSED = {"sqlite_autoincrement": True}
"""Other domains keep these ids without a foreign key: an id given again would inherit a stranger's things."""


class GroupRow(Base):
    __tablename__ = "identity_group"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    path_key: Mapped[str] = mapped_column(unique=True)
    """The path in lower case: paths that differ only in case are one."""
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    visibility: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(index=True)
    created_at: Mapped[datetime]

    def value(self) -> Group:
        return Group(
            id=self.id,
            path=self.path,
            name=self.name,
            description=self.description,
            visibility=Visibility(self.visibility),
            owner_id=self.owner_id,
            created_at=self.created_at,
        )


class UserRow(Base):
    __tablename__ = "identity_user"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    username_key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(default=False)
    must_change_password: Mapped[bool] = mapped_column(default=False)
    blocked: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    namespace_id: Mapped[int] = mapped_column(ForeignKey("identity_group.id"))

    def value(self) -> User:
        return User(
            id=self.id,
            username=self.username,
            name=self.name,
            email=self.email,
            is_admin=self.is_admin,
            must_change_password=self.must_change_password,
            blocked=self.blocked,
            created_at=self.created_at,
            namespace_id=self.namespace_id,
        )


class MemberRow(Base):
    __tablename__ = "identity_member"
    __table_args__ = (UniqueConstraint("source", "source_id", "user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    source_id: Mapped[int]
    user_id: Mapped[int] = mapped_column(ForeignKey("identity_user.id", ondelete="CASCADE"), index=True)
    access: Mapped[int]
    created_at: Mapped[datetime]


class TokenRow(Base):
    """A personal access token."""

    __tablename__ = "identity_token"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("identity_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    scopes: Mapped[list[Any]] = mapped_column(JSON)
    secret_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked: Mapped[bool] = mapped_column(default=False)


class JobTokenRow(Base):
    __tablename__ = "identity_job_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("identity_user.id", ondelete="CASCADE"))
    project_id: Mapped[int]
    job_id: Mapped[int] = mapped_column(index=True)
    secret_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class SessionRow(Base):
    """A web sign-in."""

    __tablename__ = "identity_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("identity_user.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
