"""A container's whole file system as a tar, without what is mounted into it: `docker export`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from riad.engine.containers.archive.pack import pack_contents
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.host.rootview import Layout, View, of_layers
from riad.kernel.faults import conflict


@asynccontextmanager
async def exporting(engine: Engine, container: Container) -> AsyncIterator[Iterator[bytes]]:
    """The tar in pieces (each blocks: ask for it in a thread). The container may start, run and end meanwhile.

    Raises CONFLICT while it is being removed.
    """
    container = engine.registry.fresh(container)
    if container.phase is Phase.REMOVING:
        raise conflict(f"You cannot export container {container.id} which is being removed")
    with await asyncio.to_thread(_open, engine, container, layers(engine, container)) as view:
        engine.announce(container, "export")
        yield pack_contents(view.root)


def layers(engine: Engine, container: Container) -> Layout:
    """Its image's layers with what it wrote on top as one more, since nothing is written: many may read at once."""
    folder = engine.paths.folder(container.id)
    below = [engine.images.layers.get(layer).path for layer in container.layers]
    return Layout([*below, folder / "diff"], upper=None, work=None, bound=(), folder=folder / "root")


def _open(engine: Engine, container: Container, layout: Layout) -> View:
    """What is mounted for a running container; its volumes are mounted only where its own processes see them.

    That mount shows the owners of a remapped container as they are on the host, which is nobody's business here.
    """
    if container.phase.alive and engine.remapped(container) is None and os.path.ismount(layout.folder):
        return View(os.open(layout.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    for name in ("diff", "root"):
        (layout.folder.parent / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    return of_layers(layout)
