"""Images of one project, and base images, which belong to nobody."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from aiohttp import web

from riad.dockerclient.scoped import build_query, context
from riad.dockerclient.scoped.lookups import Lookups
from riad.dockerclient.scoped.relay import Relay, answered, chosen, path_of
from riad.dockerclient.scoped.rules import Action, Decision
from riad.dockerclient.scoped.scope import Owner, Scope
from riad.kernel.faults import exhausted, invalid

T = TypeVar("T")


class ImageSide:
    """`spool` is a folder for the contexts of builds."""

    def __init__(self, scope: Scope, relay: Relay, lookups: Lookups, spool: Path) -> None:
        self._scope = scope
        self._relay = relay
        self._lookups = lookups
        self._spool = spool

    async def answer(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        query = chosen(request.query, asked.rule.query)
        path = path_of(asked.version, asked.path, asked.name)
        match asked.rule.action:
            case Action.IMAGE_LIST:
                return await self._list(request, path, query)
            case Action.IMAGE_INSPECT:
                return await self._inspect(request, asked.name, path, query)
            case Action.IMAGE_HISTORY:
                return await self._history(request, asked.name, path, query)
            case Action.IMAGE_SAVE:
                await self._lookups.visible_image(asked.name)
            case Action.IMAGE_SAVE_MANY:
                names = [name for text in request.query.getall("names", []) for name in text.split(",")]
                for name in names:
                    await self._lookups.visible_image(name)
                query = [("names", name) for name in names]
            case Action.IMAGE_TAG:
                await self._lookups.visible_image(asked.name)
                self._scope.own_name(_joined(request.query.get("repo", ""), request.query.get("tag", "")))
            case Action.IMAGE_PUSH:
                self._scope.own_name(_joined(asked.name, request.query.get("tag", "")))
            case Action.IMAGE_REMOVE:
                await self._lookups.own_image(asked.name)
            case Action.IMAGE_PULL:
                self._check_pull(request)
            case Action.IMAGE_DISTRIBUTION:
                self._scope.readable_name(asked.name)
            case _:
                return await self._build(request, asked)
        return await self._relay.stream(request, path, query)

    def _check_pull(self, request: web.Request) -> None:
        if "fromSrc" in request.query:
            raise invalid("riad: a job cannot import images; build them from a Dockerfile")
        name = request.query.get("fromImage", "")
        if not name:
            raise invalid("riad: fromImage is missing")
        self._scope.readable_name(_joined(name, request.query.get("tag", "")))

    async def _list(self, request: web.Request, path: str, query: list[tuple[str, str]]) -> web.StreamResponse:
        status, found = await self._relay.whole(request, path, query)
        if status == 200:
            found = [self._cleaned(e) for e in found if self._scope.owner_of_image(e) is not Owner.OTHER]
        return answered(found, status=status)

    async def _inspect(
        self, request: web.Request, name: str, path: str, query: list[tuple[str, str]]
    ) -> web.StreamResponse:
        await self._lookups.visible_image(name)
        status, found = await self._relay.whole(request, path, query)
        return answered(self._cleaned(found) if status == 200 else found, status=status)

    async def _history(
        self, request: web.Request, name: str, path: str, query: list[tuple[str, str]]
    ) -> web.StreamResponse:
        await self._lookups.visible_image(name)
        status, found = await self._relay.whole(request, path, query)
        if status == 200:
            for entry in found:
                entry["Tags"] = self._scope.visible_names(entry.get("Tags") or []) or None
        return answered(found, status=status)

    def _cleaned(self, found: dict[str, Any]) -> dict[str, Any]:
        """Without the names that other projects gave it."""
        return {
            **found,
            **{key: self._scope.visible_names(found[key]) for key in ("RepoTags", "RepoDigests") if found.get(key)},
        }

    async def _build(self, request: web.Request, asked: Decision) -> web.StreamResponse:
        wanted = build_query.check({key: request.query.getall(key) for key in request.query}, self._scope)
        if wanted.network is not None:
            await self._lookups.network(wanted.network)
        with self._file() as given, self._file() as checked:
            await _spool(request, given)
            dockerfile = await _thread(lambda: context.find(given, wanted.dockerfile))
            images = await _thread(lambda: context.images(dockerfile, dict(wanted.arguments)))
            for image in (*images, *wanted.images):
                await self._lookups.readable_image(image)
            await _thread(lambda: context.repack(given, checked, dockerfile))
            given.truncate(0)
            checked.seek(0)
            query = [*wanted.query, ("dockerfile", dockerfile.path)]
            path = path_of(asked.version, asked.path)
            return await self._relay.stream(request, path, query, body=_pieces(checked))

    def _file(self) -> Any:
        return tempfile.TemporaryFile(dir=self._spool)


def _joined(name: str, tag: str) -> str:
    if not tag:
        return name
    return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"


async def _spool(request: web.Request, target: BinaryIO) -> None:
    size = 0
    async for piece in request.content.iter_chunked(1024**2):
        size += len(piece)
        if size > context.LARGEST:
            raise exhausted("riad: the build's context is too large; add a .dockerignore file")
        await asyncio.to_thread(target.write, piece)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, 262144):
        yield piece


async def _thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)
