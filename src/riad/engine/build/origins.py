"""Where the files of COPY and of mounts come from: the context, another stage, an image. One object for each build."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from riad.dockerfile.references import SCRATCH
from riad.engine.build import keys
from riad.engine.build.bases import Bases
from riad.engine.build.clients import Client
from riad.engine.build.options import BuildOptions
from riad.engine.build.pins import Pins
from riad.engine.build.plan import Named, PlannedStage, Source
from riad.engine.build.progress import Progress
from riad.engine.build.rootfs import read_only
from riad.engine.build.stagestate import StageState
from riad.engine.build.tree import DirectoryTree, Tree
from riad.engine.images.layers import Layers
from riad.engine.images.model import Image
from riad.oci.config import ImageConfig
from riad.oci.digest import Digest, digest_of

OpenTree = Callable[[], Awaitable[Tree]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Origin:
    """A source of files. `identity` stands for all its content where that is known without reading; else None."""

    open: OpenTree
    identity: str | None
    owners_count: bool
    """Its owners are kept: true for stages and images, not for the context."""


class Origins:
    """Mounts what is opened below `folder`, until `close`. Stages that run side by side share what is opened."""

    def __init__(
        self,
        *,
        context: OpenTree,
        bases: Bases,
        layers: Layers,
        pins: Pins,
        options: BuildOptions,
        client: Client,
        folder: Path,
        named: Mapping[str, OpenTree] | None = None,
        given: Mapping[str, ImageConfig] | None = None,
    ) -> None:
        """`context` and `named` (by normalized name) are opened once, at their first use; `given` images are not
        looked for.
        """
        self._given = given or {}
        self._context = _Once(context)
        self._named = {name: _Once(opened) for name, opened in (named or {}).items()}
        self._bases = bases
        self._layers = layers
        self._pins = pins
        self._options = options
        self._client = client
        self._folder = folder
        self._stages: dict[int, StageState] = {}
        self._images: dict[str, _Once[Image]] = {}
        self._trees: dict[str, _Once[Tree]] = {}
        self._mounts = AsyncExitStack()

    async def close(self) -> None:
        await self._mounts.aclose()

    def finished(self, index: int, state: StageState) -> None:
        """From now on others may copy from that stage."""
        self._stages[index] = state

    def stage(self, index: int) -> StageState:
        return self._stages[index]

    async def image(self, name: str, progress: Progress) -> Image:
        """The image, its layers pinned until the build ends; found or pulled once."""

        async def found() -> Image:
            config = self._given.get(name)
            if config is not None:
                image = Image(digest_of(config.encode()), config, (), (), 0, datetime.now(UTC))
            else:
                image = await self._bases.resolve(name, self._options, self._client, progress)
            for diff_id in image.layers:
                self._pins.add(self._layers.get(diff_id).diff_id)
            return image

        return await self._images.setdefault(name, _Once(found))()

    async def origin(self, name: str | None, planned: PlannedStage | None, progress: Progress) -> Origin:
        """What `--from=name` means in the stage `planned`; None is the context."""
        if name is None:
            return Origin(self._context, None, owners_count=False)
        meaning: Source = planned.sources.get(name, name) if planned is not None else name
        if isinstance(meaning, Named):
            return Origin(self._named[meaning.name], None, owners_count=False)
        if isinstance(meaning, int):
            layers: Sequence[Digest] = self._stages[meaning].layers
        elif meaning == SCRATCH:
            layers = ()
        else:
            layers = (await self.image(meaning, progress)).layers
        identity = keys.chain(layers)

        async def opened() -> Tree:
            return await self._open_layers(identity, layers)

        return Origin(opened, identity, owners_count=True)

    def files(self, named: Named) -> OpenTree:
        return self._named[named.name]

    async def _open_layers(self, identity: str, layers: Sequence[Digest]) -> Tree:
        async def mounted() -> Tree:
            paths = [self._layers.get(diff_id).path for diff_id in layers]
            folder = read_only(self._folder / f"from-{identity[:16]}", paths)
            return DirectoryTree(await self._mounts.enter_async_context(folder))

        return await self._trees.setdefault(identity, _Once(mounted))()


class _Once(Generic[T]):
    """Does something at the first call; whoever calls meanwhile or later gets the same."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._lock = asyncio.Lock()
        self._made: list[T] = []

    async def __call__(self) -> T:
        async with self._lock:
            if not self._made:
                self._made.append(await self._make())
        return self._made[0]
