"""`DockerClient`: one engine, its resources as attributes.

    async with DockerClient("unix:///run/riad/engine.sock") as docker:
        container = await docker.containers.create({"Image": "python:3.11", "Cmd": ["python", "-V"]})

It may be made outside an event loop and belongs to the loop of its first request. Losing the engine does not spoil
it: the next request connects anew.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Self

from riad.dockerclient.address import parse
from riad.dockerclient.containers import Containers, Filters, filters_text
from riad.dockerclient.images import Images
from riad.dockerclient.networks import Networks
from riad.dockerclient.transport import Transport
from riad.dockerclient.volumes import Volumes

DEFAULT_HOST = "unix:///run/riad/engine.sock"


class DockerClient:
    def __init__(self, host: str = DEFAULT_HOST) -> None:
        self._transport = Transport(parse(host))
        self.host = host
        self.containers = Containers(self._transport)
        self.images = Images(self._transport)
        self.networks = Networks(self._transport)
        self.volumes = Volumes(self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    async def ping(self, timeout: float = 5) -> None:
        """Returns once the engine answers. Raises UNAVAILABLE."""
        async with self._transport.answer("GET", "/_ping", versioned=False, timeout=timeout) as response:
            await response.read()

    async def version(self) -> dict[str, Any]:
        document: dict[str, Any] = await self._transport.json("GET", "/version")
        return document

    async def info(self) -> dict[str, Any]:
        document: dict[str, Any] = await self._transport.json("GET", "/info")
        return document

    async def events(
        self, *, since: str | None = None, until: str | None = None, filters: Filters | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """What happens in the engine from now on (or from `since`, Unix seconds). UNAVAILABLE when it goes away."""
        query = {
            **({"since": since} if since is not None else {}),
            **({"until": until} if until is not None else {}),
            **filters_text(filters),
        }
        async with self._transport.answer("GET", "/events", query=query) as response:
            async for line in response.content:
                if line.strip():
                    yield json.loads(line)
        if until is None:
            raise self._transport.lost("it closed its stream of events")
