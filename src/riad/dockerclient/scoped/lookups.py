"""Whether a thing is the project's, asked of the engine. What is not, does not exist: NOT_FOUND in Docker's words."""

from __future__ import annotations

import re
from typing import Any

from riad.dockerclient.client import DockerClient
from riad.dockerclient.errors import faults_ignored
from riad.dockerclient.scoped.create_spec import Needs
from riad.dockerclient.scoped.scope import SCOPED, Owner, Scope, is_reference
from riad.kernel.faults import Fault, Kind, conflict, denied, not_found

IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{1,64}")
_NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class Lookups:
    def __init__(self, docker: DockerClient, scope: Scope) -> None:
        self._docker = docker
        self._scope = scope

    async def container(self, name: str) -> str:
        """The id of the project's container. Asking by id from here on, no renaming comes between."""
        missing = not_found(f"No such container: {name}")
        found = await self._found(self._docker.containers.inspect, name, missing)
        if not self._scope.owns((found.get("Config") or {}).get("Labels")):
            raise missing
        return str(found["Id"])

    async def number_of_containers(self) -> int:
        """How many the project has by scoped sockets, running or not."""
        own = {"label": [f"{SCOPED}={self._scope.project}"]}
        return len(await self._docker.containers.list(stopped=True, filters=own))

    async def execution(self, name: str) -> str:
        """The id of a command that was run in one of the project's containers."""
        missing = not_found(f"No such exec instance: {name}")
        found = await self._found(self._docker.containers.exec_inspect, name, missing)
        with faults_ignored(Kind.NOT_FOUND):
            await self.container(str(found["ContainerID"]))
            return str(found["ID"])
        raise missing

    async def network(self, name: str) -> str:
        missing = not_found(f"network {name} not found")
        found = await self._found(self._docker.networks.inspect, name, missing)
        if not self._scope.owns(found.get("Labels")):
            raise missing
        return str(found["Id"])

    async def volume(self, name: str) -> str:
        missing = not_found(f"get {name}: no such volume")
        found = await self._found(self._docker.volumes.inspect, name, missing)
        if not self._scope.owns(found.get("Labels")):
            raise missing
        return str(found["Name"])

    async def ensure_volume(self, name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
        """The project's volume of that name, made where it is missing. Raises CONFLICT where it is another's."""
        made = await self._docker.volumes.create(name, labels={**(labels or {}), **self._scope.labels})
        if not self._scope.owns(made.get("Labels")):
            raise conflict(f'riad: the volume name "{name}" is taken by somebody else; choose another')
        return made

    async def readable_image(self, name: str) -> dict[str, Any] | None:
        """Its inspection; None where the engine does not have it (and it may be pulled).

        Raises DENIED for another project's name, NOT_FOUND for another project's image by id.
        """
        if not IMAGE_ID.fullmatch(name):
            self._scope.readable_name(name)
        try:
            found = await self._docker.images.inspect(name)
        except Fault as fault:
            if fault.kind is Kind.NOT_FOUND:
                return None
            raise
        if self._scope.owner_of_image(found) is Owner.OTHER:
            raise not_found(f"No such image: {name}")
        return found

    async def visible_image(self, name: str) -> dict[str, Any]:
        """Its inspection. Raises NOT_FOUND for what is missing and for what is another project's alike."""
        missing = not_found(f"No such image: {name}")
        try:
            found = await self.readable_image(name)
        except Fault as fault:
            if fault.kind is Kind.DENIED:
                raise missing from None
            raise
        if found is None:
            raise missing
        return found

    async def own_image(self, name: str) -> None:
        """Raises DENIED where the image can be seen but is not the project's to change."""
        found = await self.visible_image(name)
        if is_reference(name) and self._scope.owner_of_name(name) is Owner.OWN:
            return
        names = [*(found.get("RepoTags") or []), *(found.get("RepoDigests") or [])]
        all_own = all(self._scope.owner_of_name(n) is Owner.OWN for n in names if not n.startswith("<none>"))
        if self._scope.owner_of_image(found) is not Owner.OWN or not all_own or not _is_id_of(name, found):
            raise denied(
                f'riad: the image "{name}" is not only {self._scope.project}\'s; name it by {self._scope.repository}'
            )

    async def meet(self, needs: Needs) -> None:
        """Everything that a new container names is the project's; volumes are made where they are missing.

        Raises DENIED where it is not: clients take NOT_FOUND for a missing image here, and pull it.
        """
        try:
            for network in sorted(needs.networks):
                await self.network(network)
            for container in sorted(needs.containers):
                await self.container(container)
        except Fault as fault:
            raise denied(f"riad: {fault.message}") if fault.kind is Kind.NOT_FOUND else fault from None
        for volume in sorted(needs.volumes):
            await self.ensure_volume(volume)

    async def _found(self, inspect: Any, name: str, missing: Fault) -> dict[str, Any]:
        if not _NAME.fullmatch(name):
            raise missing
        try:
            found: dict[str, Any] = await inspect(name.removeprefix("/"))
        except Fault as fault:
            raise missing if fault.kind is Kind.NOT_FOUND else fault from None
        return found


def _is_id_of(text: str, inspected: dict[str, Any]) -> bool:
    return str(inspected["Id"]).removeprefix("sha256:").startswith(text.removeprefix("sha256:"))
