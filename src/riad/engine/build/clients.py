"""Whom a build can ask while it goes on for secrets, keys and logins: a port, and the client that cannot be asked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from riad.engine.images.pull import ANONYMOUS
from riad.engine.images.registry.credentials import Credentials, credentials_from_json
from riad.kernel.faults import unsupported
from riad.oci.reference import DOCKER_HUB

_OLD_HUB = ("https://index.docker.io/v1/", "index.docker.io")


class Client(Protocol):
    async def secret(self, name: str) -> bytes | None:
        """The secret of that id; None where the client has none."""

    def agent(self, name: str, socket: Path) -> AbstractAsyncContextManager[None]:
        """Listens at `socket` for the time of one command, and carries what is said there to the client's SSH agent."""

    async def has_agent(self, name: str) -> bool:
        """Whether the client forwards an agent of that id."""

    async def credentials(self, registry: str) -> Credentials:
        """The client's login for the registry of that host, or ANONYMOUS."""


class Silent:
    """A client of the classic protocol: it has sent everything it will send, logins in a header."""

    def __init__(self, logins: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """`logins` by registry host, in the form of X-Registry-Config."""
        self._logins = logins or {}

    async def secret(self, name: str) -> bytes | None:
        raise unsupported(
            f"RUN --mount=type=secret,id={name} is not supported by the classic build protocol: build with buildx"
        )

    async def has_agent(self, name: str) -> bool:
        raise unsupported("RUN --mount=type=ssh is not supported by the classic build protocol: build with buildx")

    def agent(self, name: str, socket: Path) -> AbstractAsyncContextManager[None]:
        raise unsupported("RUN --mount=type=ssh is not supported by the classic build protocol: build with buildx")

    async def credentials(self, registry: str) -> Credentials:
        """The CLI names Docker Hub by an old address."""
        hosts = (registry, *(_OLD_HUB if registry == DOCKER_HUB else ()))
        return next((credentials_from_json(self._logins[host]) for host in hosts if host in self._logins), ANONYMOUS)
