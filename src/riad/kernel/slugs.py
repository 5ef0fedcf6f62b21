"""Names made safe for host names and file names, the way GitLab makes them, so that scripts find what they expect."""

from __future__ import annotations

import hashlib
import re

_HASHED_LENGTH = 24


def plain(text: str, limit: int = 63) -> str:
    """Small letters, digits and dashes, none at the ends: `CI_COMMIT_REF_SLUG`."""
    return re.sub(r"[^a-z0-9]", "-", text.lower())[:limit].strip("-")


def hashed(name: str) -> str:
    """An environment's: at most 24 of `a-z0-9-`, a letter first; a shortened or changed name gets a hash at its end."""
    text = re.sub(r"[^a-z0-9]", "-", name.lower())
    if not text[:1].isalpha():
        text = f"env-{text}"
    text = re.sub(r"-+", "-", text)[:_HASHED_LENGTH].rstrip("-")
    if text == name:
        return text
    digest = _base36(int(hashlib.sha256(name.encode()).hexdigest(), 16))[-6:]
    return f"{text[: _HASHED_LENGTH - 7].rstrip('-')}-{digest}"


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text
