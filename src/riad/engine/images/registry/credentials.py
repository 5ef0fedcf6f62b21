"""Signing in: what the client sent, what the registry's challenge asks for (RFC 7235, token authentication)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Credentials:
    """Nothing set = anonymous. An identity token stands for a password that the client no longer has."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token or self.registry_token)

    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def credentials_from_json(source: Mapping[str, Any]) -> Credentials:
    """Reads an X-Registry-Auth value or an entry of X-Registry-Config; in old clients `auth` holds both parts."""
    username, password = str(source.get("username") or ""), str(source.get("password") or "")
    packed = str(source.get("auth") or "")
    if packed and not username:
        try:
            username, _, password = base64.b64decode(packed).decode().partition(":")
        except ValueError:
            username = password = ""
    return Credentials(
        username, password, str(source.get("identitytoken") or ""), str(source.get("registrytoken") or "")
    )


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` is lower-case: `bearer` or `basic`."""

    scheme: str
    realm: str = ""
    service: str = ""


def parse_challenges(header: str) -> list[Challenge]:
    """The challenges of a WWW-Authenticate header that can be met here, in order."""
    found: list[Challenge] = []
    for part in re.split(r",\s*(?=(?:[Bb]earer|[Bb]asic)\s)", header):
        scheme, _, rest = part.strip().partition(" ")
        parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
        if scheme.lower() in ("bearer", "basic"):
            found.append(Challenge(scheme.lower(), parameters.get("realm", ""), parameters.get("service", "")))
    return found
