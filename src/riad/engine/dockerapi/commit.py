"""POST /commit: a container's files and settings as a new image."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.dockerapi.image_transfer import pulled_reference
from riad.engine.dockerapi.wire import Shape, flag, json_response
from riad.engine.images.changes import apply_changes
from riad.engine.images.importing import commit_image
from riad.kernel.faults import invalid
from riad.kernel.process import run
from riad.oci.config import ContainerConfig, container_config_from_json

_LONGEST_COPY = 1800.0  # seconds


def routes(*, engine: Engine) -> list[web.RouteDef]:
    async def commit(request: web.Request) -> web.Response:
        query = request.query
        container = engine.registry.find(query.get("container", ""))
        reference = pulled_reference(query["repo"], query.get("tag", "")) if query.get("repo") else None
        config = _configured(container.settings.config, await _overrides(request))
        config = apply_changes(config, query.getall("changes", []))
        folder = engine.images.layers.scratch()
        try:
            async with _still(engine, container, wanted=flag(query, "pause", default=True)):
                await _copy(engine.paths.folder(container.id) / "diff", folder)
                (folder / ".dockerenv").unlink(missing_ok=True)  # every container's, no file of this one
            image = await commit_image(
                engine.images,
                engine.images.by_id(container.image_id),
                folder,
                config,
                command=" ".join((*(config.entrypoint or ()), *(config.cmd or ()))),
                reference=reference,
                author=query.get("author", ""),
                comment=query.get("comment", ""),
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return json_response({"Id": image.id}, status=201)

    return [web.post("/commit", commit)]


async def _overrides(request: web.Request) -> Shape:
    """The configuration in the body: clients send null, {} or members to replace."""
    raw = await request.read()
    try:
        found = json.loads(raw) if raw.strip() else None
    except ValueError as error:
        raise invalid(f"invalid JSON: {error}") from None
    if found is not None and not isinstance(found, dict):
        raise invalid("invalid JSON: the body is not an object")
    return found or {}


def _configured(config: ContainerConfig, overrides: Shape) -> ContainerConfig:
    given = {name: value for name, value in overrides.items() if value not in (None, "", [], {}, False)}
    return container_config_from_json(config.to_json() | given) if given else config


@asynccontextmanager
async def _still(engine: Engine, container: Container, *, wanted: bool) -> AsyncIterator[None]:
    """Nothing of the container runs meanwhile, so that its files fit each other."""
    if not wanted or engine.registry.fresh(container).phase is not Phase.RUNNING:
        yield
        return
    async with engine.registry.lock(container.id):
        await engine.runtime.pause(container.id)
        try:
            yield
        finally:
            await engine.runtime.resume(container.id)


async def _copy(source: Path, target: Path) -> None:
    """All of overlayfs' upper directory with owners, devices (whiteouts) and attributes (opaque marks)."""
    if source.is_dir():
        await run(["cp", "--archive", "--reflink=auto", f"{source}/.", f"{target}/"], timeout=_LONGEST_COPY)
