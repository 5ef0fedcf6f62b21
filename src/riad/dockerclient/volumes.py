"""Named volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riad.dockerclient.containers import Documents, Filters, filters_text, flag
from riad.dockerclient.errors import faults_ignored
from riad.dockerclient.transport import Transport
from riad.kernel.faults import Kind


class Volumes:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(self, name: str, *, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The volume of that name, made where it is missing."""
        document = {"Name": name, "Labels": dict(labels or {})}
        made: dict[str, Any] = await self._transport.json("POST", "/volumes/create", document=document)
        return made

    async def inspect(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = await self._transport.json("GET", f"/volumes/{name}")
        return document

    async def list(self, *, filters: Filters | None = None) -> Documents:
        answer = await self._transport.json("GET", "/volumes", query=filters_text(filters))
        found: Documents = answer.get("Volumes") or []
        return found

    async def remove(self, name: str, *, force: bool = False) -> None:
        """No error where it is gone; CONFLICT while a container uses it."""
        with faults_ignored(Kind.NOT_FOUND):
            await self._transport.json("DELETE", f"/volumes/{name}", query={"force": flag(force)})
