"""A container's files and settings as a new image: `docker commit`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from riad.engine.containers.changes import drop_mount_points
from riad.engine.containers.engine import Engine
from riad.engine.containers.merge import merge
from riad.engine.containers.model import Container, Phase
from riad.engine.images.changes import apply_changes
from riad.engine.images.importing import commit_image
from riad.engine.images.model import Image
from riad.kernel.faults import conflict
from riad.kernel.process import run
from riad.oci.config import ContainerConfig
from riad.oci.reference import Reference

_LONGEST_COPY = 1800.0  # seconds


@dataclass(frozen=True, slots=True)
class Wish:
    """`config` replaces members of the container's own; None takes all of them. `changes` are Dockerfile lines."""

    reference: Reference | None = None
    config: ContainerConfig | None = None
    changes: Sequence[str] = ()
    author: str = ""
    comment: str = ""
    pause: bool = True


async def commit(engine: Engine, container: Container, wish: Wish) -> Image:
    """Raises INVALID for a bad change, CONFLICT while the container is being removed."""
    if container.phase is Phase.REMOVING:
        raise conflict(f"You cannot commit container {container.id} which is being removed")
    config = committed_config(container.settings.config, wish)
    folder = engine.images.layers.scratch()
    try:
        async with _still(engine, container, wanted=wish.pause):
            await _copy(engine.paths.folder(container.id) / "diff", folder)
        layers = [engine.images.layers.get(layer).path for layer in container.layers]
        await asyncio.to_thread(drop_mount_points, folder, layers)
        image = await commit_image(
            engine.images,
            engine.images.by_id(container.image_id),
            folder,
            config,
            command=" ".join(container.command),
            reference=wish.reference,
            author=wish.author,
            comment=wish.comment,
        )
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    name = wish.reference.with_default_tag().familiar if wish.reference else ""
    engine.announce(container, "commit", comment=wish.comment, imageID=image.id, imageRef=name)
    return image


def committed_config(own: ContainerConfig, wish: Wish) -> ContainerConfig:
    """What the image's containers get; pure. Raises INVALID for a change that is none."""
    config = apply_changes(own if wish.config is None else wish.config, wish.changes)
    return merge(config, own)


@asynccontextmanager
async def _still(engine: Engine, container: Container, *, wanted: bool) -> AsyncIterator[None]:
    """Nothing of the container runs meanwhile, so that its files fit each other."""
    if not wanted or engine.registry.fresh(container).phase is not Phase.RUNNING:
        yield
        return
    async with engine.registry.lock(container.id):
        await engine.runtime.pause(container.id)
        engine.announce(container, "pause")
        try:
            yield
        finally:
            await engine.runtime.resume(container.id)
            engine.announce(container, "unpause")


async def _copy(source: Path, target: Path) -> None:
    """All of overlayfs' upper directory with owners, devices (whiteouts) and attributes (opaque marks)."""
    if source.is_dir():
        await run(["cp", "--archive", "--reflink=auto", f"{source}/.", f"{target}/"], timeout=_LONGEST_COPY)
