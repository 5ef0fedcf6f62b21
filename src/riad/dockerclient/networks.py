"""Networks: create, connect, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from riad.dockerclient.containers import Documents, Filters, filters_text
from riad.dockerclient.errors import faults_ignored
from riad.dockerclient.transport import Transport
from riad.kernel.faults import Fault, Kind


class Networks:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(self, name: str, *, labels: Mapping[str, str] | None = None, internal: bool = False) -> str:
        """A user bridge; returns its id. CONFLICT where the name is taken."""
        document = {
            "Name": name,
            "Driver": "bridge",
            "CheckDuplicate": True,
            "Internal": internal,
            "Labels": dict(labels or {}),
        }
        return str((await self._transport.json("POST", "/networks/create", document=document))["Id"])

    async def inspect(self, network: str) -> dict[str, Any]:
        document: dict[str, Any] = await self._transport.json("GET", f"/networks/{network}")
        return document

    async def list(self, *, filters: Filters | None = None) -> Documents:
        found: Documents = await self._transport.json("GET", "/networks", query=filters_text(filters))
        return found

    async def connect(self, network: str, container: str, *, aliases: Sequence[str] = ()) -> None:
        document = {"Container": container, "EndpointConfig": {"Aliases": list(aliases)}}
        await self._transport.json("POST", f"/networks/{network}/connect", document=document)

    async def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        document = {"Container": container, "Force": force}
        await self._transport.json("POST", f"/networks/{network}/disconnect", document=document)

    async def remove(self, network: str) -> None:
        """No error where it is gone; CONFLICT (or DENIED, as Docker answers) while containers are on it."""
        with faults_ignored(Kind.NOT_FOUND):
            await self._transport.json("DELETE", f"/networks/{network}")

    async def ensure(self, name: str, *, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The network of that name, made where it is missing; two callers at once get the same one."""
        with faults_ignored(Kind.NOT_FOUND):
            return await self.inspect(name)
        try:
            await self.create(name, labels=labels)
        except Fault as refused:
            with faults_ignored(Kind.NOT_FOUND):  # somebody else made it in between
                return await self.inspect(name)
            raise refused from None
        return await self.inspect(name)
