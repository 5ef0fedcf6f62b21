"""Passwords, hashed with argon2id (OWASP's small-memory parameters: 19 MiB, two passes, one lane).

A guess costs about 30 ms of a processor, whether the user exists or not; at most two are weighed at a time, which
bounds both the memory and the number of guesses a second that anybody can make. Few may wait for their turn: each holds
a thread and a connection of the database, and a flood of guesses must not take them from everybody else.
"""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from riad.kernel.faults import Finding, exhausted, invalid

SHORTEST = 8
LONGEST = 128

_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_ONCE = threading.BoundedSemaphore(2)
_PRESENT = threading.BoundedSemaphore(8)


@contextmanager
def _turn() -> Iterator[None]:
    """Raises EXHAUSTED where too many wait already."""
    if not _PRESENT.acquire(blocking=False):
        raise exhausted("too many passwords are being checked at this moment; try again, or use an access token")
    try:
        with _AT_ONCE:
            yield
    finally:
        _PRESENT.release()


def hashed(password: str) -> str:
    """Raises INVALID where the password is too short or too long, EXHAUSTED where many are at it."""
    if not SHORTEST <= len(password) <= LONGEST:
        message = f"must have {SHORTEST} to {LONGEST} characters"
        raise invalid(f"password {message}", Finding("password", message))
    with _turn():
        return _HASHER.hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Takes the same time for a user without a password (None) as for a wrong one.

    Raises EXHAUSTED where many are at it.
    """
    with _turn():
        try:
            right = _HASHER.verify(password_hash or _nobodys(), password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False
    return right and password_hash is not None


def one_time() -> str:
    """A fresh password, easy to copy by eye: four groups of four."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


@functools.cache
def _nobodys() -> str:
    return _HASHER.hash(secrets.token_urlsafe())
