"""Registry tokens: short-lived signed statements of who asks and for what (RFC 7519, HS256).

A token carries the whole principal, so that a request costs no password hash, and the access it was given, so that
it is good for nothing else. The claims are those of distribution's "Token authentication implementation".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from riad.identity.model import Kind, Principal, Scope, User
from riad.kernel.faults import conflict, unauthenticated

SERVICE = "container_registry"
LIFETIME = timedelta(minutes=10)
PULL_USERNAME = "riad-pull"
PULL_LIFETIME = timedelta(hours=1)
KEY_BYTES = 32

Granted = Mapping[str, frozenset[str]]
"""Resource (`repository:demo/app`) to actions."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says. `user_id` is None for an anonymous one."""

    user_id: int | None
    kind: Kind
    scopes: frozenset[str]
    project_id: int | None
    job_id: int | None
    granted: Granted

    def principal(self, user: User | None) -> Principal:
        return Principal(user, self.kind, self.scopes, project_id=self.project_id, job_id=self.job_id)


def load_key(file: Path) -> bytes:
    """The signing key of this installation, made at first use, whole or not at all: anybody could sign with less.

    Raises CONFLICT for a file that is no key.
    """
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(KEY_BYTES)
        _keep(file, key)
    if len(key) != KEY_BYTES:
        raise conflict(f"{file} is not a signing key ({KEY_BYTES} bytes); remove it, and clients log in again")
    return key


def _keep(file: Path, key: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(key)
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(file)


def issue(key: bytes, principal: Principal, granted: Granted, *, now: datetime, lifetime: timedelta = LIFETIME) -> str:
    user = principal.user
    claims = {
        "iss": "riad",
        "aud": SERVICE,
        "sub": user.username if user is not None else "",
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()) - 60,
        "exp": int((now + lifetime).timestamp()),
        "jti": secrets.token_hex(8),
        "access": [_access(resource, actions) for resource, actions in granted.items()],
        "uid": user.id if user is not None else None,
        "kind": principal.kind.value,
        "scopes": sorted(principal.scopes),
        "pid": principal.project_id,
        "jid": principal.job_id,
    }
    body = _packed({"alg": "HS256", "typ": "JWT"}) + "." + _packed(claims)
    return f"{body}.{_signature(key, body)}"


def verify(key: bytes, token: str, *, now: datetime) -> Claims:
    """Raises UNAUTHENTICATED for a token that is not ours, damaged or over."""
    body, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(key, body).encode(), signature.encode()):
        raise unauthenticated("the registry token is not valid; log in again")
    claims: dict[str, Any] = json.loads(_unpacked(body.partition(".")[2]))
    if claims["aud"] != SERVICE or not claims["nbf"] <= now.timestamp() < claims["exp"]:
        raise unauthenticated("the registry token is over; ask for a new one")
    return Claims(
        user_id=claims["uid"],
        kind=Kind(claims["kind"]),
        scopes=frozenset(claims["scopes"]),
        project_id=claims["pid"],
        job_id=claims["jid"],
        granted={f"{a['type']}:{a['name']}": frozenset(a["actions"]) for a in claims["access"]},
    )


def pull_credentials(key: bytes, *repositories: str, now: datetime) -> tuple[str, str]:
    """A username and password that let an engine pull these repositories for an hour: what a roll-out hands it."""
    reader = Principal(user=None, kind=Kind.ANONYMOUS, scopes=frozenset({Scope.READ_REGISTRY.value}))
    granted = {f"repository:{repository}": frozenset({"pull"}) for repository in repositories}
    return PULL_USERNAME, issue(key, reader, granted, now=now, lifetime=PULL_LIFETIME)


def _access(resource: str, actions: frozenset[str]) -> dict[str, object]:
    kind, _, name = resource.partition(":")
    return {"type": kind, "name": name, "actions": sorted(actions)}


def _packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signature(key: bytes, body: str) -> str:
    digest = hmac.new(key, body.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
