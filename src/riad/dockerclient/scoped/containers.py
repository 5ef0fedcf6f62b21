"""Containers, commands in them, networks and volumes of one project."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from riad.dockerclient.scoped import create_spec, filters, refusals
from riad.dockerclient.scoped.lookups import Lookups
from riad.dockerclient.scoped.refusals import free, mapping, nothing, only, taken
from riad.dockerclient.scoped.relay import Relay, answered, chosen, path_of
from riad.dockerclient.scoped.rules import Action, Decision
from riad.dockerclient.scoped.scope import Scope, check_labels, check_name
from riad.kernel.faults import invalid

LARGEST_DOCUMENT = 4 * 1024**2

_EXEC: dict[str, refusals.Check] = {
    **dict.fromkeys(
        ("AttachStdin", "AttachStdout", "AttachStderr", "DetachKeys", "Tty", "Env", "Cmd", "User", "WorkingDir",
         "ConsoleSize", "Detach"),
        free,
    ),
    "Privileged": only(False, instead="jobs have no privileges over the host"),
}  # fmt: skip
_EXEC_START = dict.fromkeys(("Detach", "Tty", "ConsoleSize"), free)
_SUBNET = "the engine chooses the subnet"
_NETWORK: dict[str, refusals.Check] = {
    **dict.fromkeys(("CheckDuplicate", "EnableIPv6", "EnableIPv4", "Internal", "Attachable"), free),
    "Driver": only("bridge", "default"),
    "Scope": only("local"),
    "Ingress": nothing(),
    "ConfigOnly": nothing(),
    "Options": nothing("networks of jobs have no driver options"),
    "IPAM": lambda value, path: taken(
        mapping(value or {}, path),
        {"Driver": only("default"), "Config": nothing(_SUBNET), "Options": nothing(_SUBNET)},
        path,
    ),
}
_VOLUME: dict[str, refusals.Check] = {
    "Driver": only("local"),
    "DriverOpts": nothing("volumes of jobs have no driver options"),
}


class ContainerSide:
    def __init__(self, scope: Scope, relay: Relay, lookups: Lookups) -> None:
        self._scope = scope
        self._relay = relay
        self._lookups = lookups
        self._creating = asyncio.Lock()

    async def answer(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        match asked.rule.action:
            case Action.CONTAINER_LIST:
                return await self._list(request, asked)
            case Action.CONTAINER_CREATE:
                return await self._create(request, asked)
            case Action.CONTAINER_RENAME:
                check_name(request.query.get("name", ""), "container")
                return await self._forward(request, asked, await self._lookups.container(asked.name))
            case Action.CONTAINER_STREAM:
                container = await self._lookups.container(asked.name)
                return await self._upgrade(request, asked, container, document=None)
            case Action.EXEC_CREATE:
                return await self._exec_create(request, asked)
            case Action.EXEC:
                return await self._forward(request, asked, await self._lookups.execution(asked.name))
            case Action.EXEC_STREAM:
                return await self._exec_start(request, asked)
            case Action.NETWORK_LIST:
                return await self._list(request, asked)
            case Action.NETWORK_CREATE:
                return await self._network_create(request, asked)
            case Action.NETWORK_READ:
                return await self._network_read(request, asked)
            case Action.NETWORK:
                return await self._forward(request, asked, await self._lookups.network(asked.name))
            case Action.NETWORK_JOIN:
                return await self._join(request, asked)
            case Action.VOLUME_LIST:
                return await self._volumes(request, asked)
            case Action.VOLUME_CREATE:
                return await self._volume_create(request)
            case Action.VOLUME:
                return await self._forward(request, asked, await self._lookups.volume(asked.name))
            case _:
                return await self._forward(request, asked, await self._lookups.container(asked.name))

    async def _forward(self, request: web.Request, asked: Decision, name: str) -> web.StreamResponse:
        """Bodies go along with archives only: old APIs took a HostConfig when a container was started."""
        body = request.content.iter_any() if request.method == "PUT" else None
        query = chosen(request.query, asked.rule.query)
        return await self._relay.stream(request, path_of(asked.version, asked.path, name), query, body=body)

    async def _list(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        await self._check_neighbours(request)
        status, found = await self._relay.whole(request, path_of(asked.version, asked.path), self._own(request, asked))
        if status == 200:
            found = [entry for entry in found if self._scope.owns(entry.get("Labels"))]
        return answered(found, status=status)

    async def _volumes(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        status, found = await self._relay.whole(request, path_of(asked.version, asked.path), self._own(request, asked))
        if status == 200:
            own = [entry for entry in found.get("Volumes") or [] if self._scope.owns(entry.get("Labels"))]
            found = {"Volumes": own, "Warnings": None}
        return answered(found, status=status)

    async def _check_neighbours(self, request: web.Request) -> None:
        """Lists before or since another project's container would tell that it exists, and since when."""
        given = filters.read(request.query.get("filters"))
        for key in ("before", "since"):
            for name in (*request.query.getall(key, ()), *given.get(key, ())):
                if name:
                    await self._lookups.container(name)

    def _own(self, request: web.Request, asked: Decision) -> list[tuple[str, str]]:
        query = [(key, value) for key, value in chosen(request.query, asked.rule.query) if key != "filters"]
        return [*query, ("filters", filters.own(request.query.get("filters"), self._scope))]

    async def _create(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        check_name(request.query.get("name", ""), "container")
        document, needs = create_spec.check(await body_of(request), self._scope)
        await self._lookups.readable_image(document["Image"])
        await self._lookups.meet(needs)
        query = chosen(request.query, asked.rule.query)
        async with self._creating:
            if self._scope.quota.containers:
                self._scope.quota.check_number(await self._lookups.number_of_containers())
            return await self._relay.stream(
                request, path_of(asked.version, asked.path), query, body=json.dumps(document).encode()
            )

    async def _exec_create(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        document = taken(mapping(await body_of(request), ""), _EXEC, "")
        container = await self._lookups.container(asked.name)
        path = path_of(asked.version, asked.path, container)
        return await self._relay.stream(request, path, body=json.dumps(document).encode())

    async def _exec_start(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        document = taken(mapping(await body_of(request), ""), _EXEC_START, "")
        execution = await self._lookups.execution(asked.name)
        if document.get("Detach"):
            path = path_of(asked.version, asked.path, execution)
            return await self._relay.stream(request, path, body=json.dumps(document).encode())
        return await self._upgrade(request, asked, execution, document=document)

    async def _upgrade(
        self, request: web.Request, asked: Decision, name: str, *, document: object
    ) -> web.StreamResponse:
        query = chosen(request.query, asked.rule.query)
        return await self._relay.upgrade(
            request, path_of("", asked.path, name), query, version=asked.version, document=document
        )

    async def _network_create(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        checks = {
            **_NETWORK,
            "Name": lambda value, path: check_name(str(value), "network"),
            "Labels": lambda value, path: {**check_labels(value), **self._scope.labels},
        }
        document = taken(mapping(await body_of(request), ""), checks, "")
        document["Labels"] = document.get("Labels") or self._scope.labels
        return await self._relay.stream(request, path_of(asked.version, asked.path), body=json.dumps(document).encode())

    async def _network_read(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        """One of its own; of the shared bridge everything but who is on it."""
        if asked.name != "bridge":
            return await self._forward(request, asked, await self._lookups.network(asked.name))
        status, found = await self._relay.whole(request, path_of(asked.version, asked.path, asked.name))
        if isinstance(found, dict) and status == 200:
            found["Containers"] = {}
        return answered(found, status=status)

    async def _join(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        document = taken(
            mapping(await body_of(request), ""),
            {"Container": free, "EndpointConfig": create_spec.check_endpoint, "Force": free},
            "",
        )
        network = await self._lookups.network(asked.name)
        document["Container"] = await self._lookups.container(str(document.get("Container", "")))
        path = path_of(asked.version, asked.path, network)
        return await self._relay.stream(request, path, body=json.dumps(document).encode())

    async def _volume_create(self, request: web.Request) -> web.StreamResponse:
        checks = {
            **_VOLUME,
            "Name": lambda value, path: check_name(str(value), "volume"),
            "Labels": lambda value, path: check_labels(value),
        }
        document = taken(mapping(await body_of(request), ""), checks, "")
        made = await self._lookups.ensure_volume(str(document.get("Name") or ""), document.get("Labels"))
        return answered(made, status=201)


async def body_of(request: web.Request) -> Any:
    """The JSON document of a request; {} where there is none. Raises INVALID."""
    text = bytearray()
    async for piece in request.content.iter_any():
        text += piece
        if len(text) > LARGEST_DOCUMENT:
            raise invalid("riad: the request is too large")
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise invalid("riad: the request is not JSON") from None
