"""How values look on the wire of the Docker Engine API: JSON bodies, query flags, moments, identifiers, versions."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from riad.kernel.faults import invalid

API_VERSION = (1, 47)
OLDEST_API_VERSION = (1, 24)
ENGINE_VERSION = "27.5.1"
"""What clients that compare versions are told: the Docker release whose API we speak."""

ZERO_TIME = "0001-01-01T00:00:00Z"
Shape = dict[str, Any]


STARTED = web.RequestKey("started", bool)
"""Set on a request whose answer's headers are out: an error can no longer change its status."""


def dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def version_of(request: web.Request) -> tuple[int, int]:
    """The API version that the client asked for by its path, or ours where the path names none."""
    asked = request.match_info.get("version")
    if asked is None:
        return API_VERSION
    major, minor = asked.split(".")
    return int(major), int(minor)


def dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def json_response(value: object, *, status: int = 200) -> web.Response:
    # The content type bare: the docker CLI takes a body with a charset parameter for plain text.
    return web.Response(body=(dumps(value) + "\n").encode(), status=status, content_type="application/json")


def no_content() -> web.Response:
    return web.Response(status=204)


async def json_body(request: web.Request, *, empty: Shape | None = None) -> Shape:
    """The request's JSON object. An empty body is `empty`, or INVALID where that is not given."""
    raw = await request.read()
    if not raw.strip():
        if empty is not None:
            return empty
        raise invalid("invalid JSON: EOF: got EOF while reading request body")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise invalid(f"invalid JSON: {error}") from None
    if not isinstance(value, dict):
        raise invalid(f"invalid JSON: the body is a {type(value).__name__}, not an object")
    return value


def flag(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A boolean of the query as Docker reads it: everything but "", 0, no, false and none is true."""
    if name not in query:
        return default
    return query[name].strip().lower() not in ("", "0", "no", "false", "none")


def whole(query: Mapping[str, str], name: str, *, default: int | None = None) -> int | None:
    """A whole number of the query. Raises INVALID that names the parameter."""
    text = query.get(name, "")
    if text == "":
        return default
    try:
        return int(text)
    except ValueError:
        raise invalid(f'{name}: strconv.Atoi: parsing "{text}": invalid syntax') from None


def moment(at: datetime | None) -> str:
    """RFC 3339 with the zero time for "never", as Go prints it."""
    if at is None:
        return ZERO_TIME
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"


_FRACTION = re.compile(r"\.(\d+)")


def parse_moment(text: str, *, name: str) -> datetime | None:
    """A moment of the query: unix seconds with fraction, or RFC 3339. None for "" and 0."""
    if text in ("", "0"):
        return None
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    try:
        # fromisoformat takes microseconds at most; clients send nanoseconds.
        at = datetime.fromisoformat(_FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text))
    except ValueError:
        raise invalid(f'{name}: "{text}" is neither unix seconds nor RFC 3339') from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def decoded_header(request: web.Request, name: str) -> Shape:
    """A header that carries base64url JSON (X-Registry-Auth, X-Registry-Config); {} where it is absent or empty."""
    raw = request.headers.get(name, "")
    if not raw:
        return {}
    try:
        value = json.loads(base64.b64decode(raw.replace("-", "+").replace("_", "/") + "=" * (-len(raw) % 4)) or b"{}")
    except (binascii.Error, ValueError):
        raise invalid(f"{name}: not base64 JSON") from None
    return value if isinstance(value, dict) else {}
