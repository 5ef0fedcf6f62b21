"""Random secrets: shown once, kept as SHA-256 (they are long and random, so a slow hash would protect nothing)."""

from __future__ import annotations

import hashlib
import secrets

PERSONAL = "rpat-"
JOB = "rjob-"
SESSION = "rses-"


def fresh(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(24)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
