"""The `Authorization` header, read the same way by every protocol (RFC 7617, RFC 6750)."""

from __future__ import annotations

import base64
import binascii


def basic(header: str | None) -> tuple[str, str] | None:
    """Username and password of a Basic header; None for any other header or one that cannot be read."""
    scheme, _, rest = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(rest.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    username, colon, password = text.partition(":")
    return (username, password) if colon else None


def bearer(header: str | None) -> str | None:
    scheme, _, rest = (header or "").partition(" ")
    return rest.strip() if scheme.lower() == "bearer" and rest.strip() else None
