"""The first administrator: `root`, made at the first start; its credentials may be preset by the environment."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from riad.identity import passwords, secret, tokens, users
from riad.identity.model import Scope, User
from riad.kernel.clock import Clock
from riad.kernel.faults import invalid

USERNAME = "root"
PRESET_TOKEN = "preset by the environment"  # noqa: S105 -- its name


@dataclass(frozen=True, slots=True)
class Root:
    user: User
    one_time_password: str | None
    """Set when it was made just now, to be shown once."""


def ensure(session: Session, *, password: str | None = None, token: str | None = None, clock: Clock) -> Root:
    """Makes `root` where there is none; a preset password counts only then, a preset token at every start.

    Without a preset password a one-time password is made, which has to be changed at the first sign-in.
    Raises INVALID for a preset out of shape.
    """
    user = users.by_username(session, USERNAME)
    fresh = None
    if user is None:
        fresh = passwords.one_time() if password is None else None
        user = users.create(
            session,
            username=USERNAME,
            name="Administrator",
            email="root@localhost",
            password=password if password is not None else fresh,
            is_admin=True,
            must_change_password=fresh is not None,
            clock=clock,
        )
    if token is not None:
        _preset(session, user, token, clock)
    return Root(user=user, one_time_password=fresh)


def _preset(session: Session, user: User, token: str, clock: Clock) -> None:
    """Keeps one preset token: a changed value takes the place of the earlier one."""
    if len(token) < tokens.SHORTEST_PRESET:
        raise invalid(f"RIAD_ROOT_TOKEN needs at least {tokens.SHORTEST_PRESET} characters")
    digest = secret.digest(token)
    held = [row for row in tokens.list(session, user_id=user.id) if row.name == PRESET_TOKEN]
    for row in held:
        row.revoked = row.secret_hash != digest
    if all(row.revoked for row in held):
        tokens.create_personal(session, user.id, PRESET_TOKEN, [Scope.API.value], clock=clock, preset=token)
