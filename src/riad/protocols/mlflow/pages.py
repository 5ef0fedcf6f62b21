"""Opaque page tokens: where the next page begins, told to nobody but ourselves."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar

from riad.kernel.faults import invalid
from riad.protocols.mlflow import body

T = TypeVar("T")


def offset(asked: body.Body) -> int:
    """Where the page that was asked for begins. Raises INVALID."""
    token = body.text(asked, "page_token", "")
    if not token:
        return 0
    try:
        found = int(base64.urlsafe_b64decode(token.encode()).decode().removeprefix("from:"))
    except (ValueError, binascii.Error):
        raise invalid("Invalid page token, could not be read") from None
    if found < 0:
        raise invalid("Invalid page token, could not be read")
    return found


def token(at: int) -> str:
    return base64.urlsafe_b64encode(f"from:{at}".encode()).decode()


def cut(found: Sequence[T], *, limit: int, start: int) -> tuple[Sequence[T], dict[str, Any]]:
    """Of one more than were asked for: the page, and `next_page_token` where there are more."""
    if len(found) <= limit:
        return found, {}
    return found[:limit], {"next_page_token": token(start + limit)}
