"""Where an engine listens, as `DOCKER_HOST` writes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from riad.kernel.faults import invalid


@dataclass(frozen=True, slots=True)
class Address:
    """A unix socket (`socket` set) or a TCP endpoint."""

    text: str
    socket: str | None = None
    host: str = "docker"
    port: int = 80

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}" if self.socket else f"http://{host}:{self.port}"


def parse(text: str) -> Address:
    """Reads `unix:///PATH` or `tcp://HOST[:2375]`. Raises INVALID."""
    parts = urlsplit(text)
    if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
        return Address(text, socket=parts.path)
    if parts.scheme in ("tcp", "http") and parts.hostname:
        return Address(text, host=parts.hostname, port=parts.port or 2375)
    raise invalid(f'docker host "{text}" is neither unix:///PATH nor tcp://HOST:PORT')
