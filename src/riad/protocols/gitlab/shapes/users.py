"""Users, members and access tokens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from riad.identity import tokens
from riad.identity.model import Member, User
from riad.identity.store import TokenRow
from riad.protocols.gitlab.shapes.moments import moment

Shape = dict[str, Any]


def basic(user: User, url: str) -> Shape:
    return {
        "id": user.id,
        "username": user.username,
        "public_email": "",
        "name": user.name,
        "state": "blocked" if user.blocked else "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{url}/{user.username}",
    }


def public(user: User, url: str) -> Shape:
    return basic(user, url) | {
        "created_at": moment(user.created_at),
        "bio": "",
        "location": "",
        "linkedin": "",
        "twitter": "",
        "discord": "",
        "website_url": "",
        "github": "",
        "organization": "",
        "job_title": "",
        "pronouns": None,
        "bot": False,
        "work_information": None,
        "followers": 0,
        "following": 0,
        "is_followed": False,
        "local_time": None,
    }


def full(user: User, url: str, *, for_admin: bool = False) -> Shape:
    """The user themselves, or any user for an administrator."""
    shape = public(user, url) | {
        "last_sign_in_at": None,
        "confirmed_at": moment(user.created_at),
        "last_activity_on": None,
        "email": user.email,
        "theme_id": 1,
        "color_scheme_id": 1,
        "projects_limit": 100000,
        "current_sign_in_at": None,
        "identities": [],
        "can_create_group": True,
        "can_create_project": True,
        "two_factor_enabled": False,
        "external": False,
        "private_profile": False,
        "commit_email": user.email,
    }
    if user.is_admin or for_admin:
        shape |= {"is_admin": user.is_admin, "note": None, "namespace_id": user.namespace_id, "created_by": None}
    return shape


def member(member: Member, url: str) -> Shape:
    return basic(member.user, url) | {
        "access_level": int(member.access),
        "created_at": moment(member.created_at),
        "created_by": None,
        "expires_at": None,
        "membership_state": "active",
    }


def token(row: TokenRow, *, now: datetime, secret: str | None = None) -> Shape:
    """`secret` only in the answer that creates it."""
    shape = {
        "id": row.id,
        "name": row.name,
        "revoked": row.revoked,
        "created_at": moment(row.created_at),
        "description": "",
        "scopes": list(row.scopes),
        "user_id": row.user_id,
        "last_used_at": moment(row.last_used_at),
        "active": tokens.active(row, now),
        "expires_at": row.expires_at.date().isoformat() if row.expires_at is not None else None,
    }
    return shape | ({"token": secret} if secret is not None else {})


def people(users: Mapping[int, User], url: str, user_id: int | None) -> Shape | None:
    """The user of this id in a list's users, if there still is one."""
    found = users.get(user_id) if user_id is not None else None
    return basic(found, url) if found is not None else None
