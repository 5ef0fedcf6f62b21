"""Where the files of COPY and of mounts come from: the context, another stage, an image. One object for each build."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from riad.dockerfile.references import SCRATCH
from riad.engine.build import keys
from riad.engine.build.bases import Bases
from riad.engine.build.options import BuildOptions
from riad.engine.build.pins import Pins
from riad.engine.build.plan import PlannedStage
from riad.engine.build.progress import Progress
from riad.engine.build.rootfs import read_only
from riad.engine.build.stagestate import StageState
from riad.engine.build.tree import DirectoryTree, TarTree, Tree
from riad.engine.images.layers import Layers
from riad.engine.images.model import Image
from riad.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Origin:
    """A source of files. `identity` stands for all its content where that is known without reading; else None."""

    open: Callable[[], Awaitable[Tree]]
    identity: str | None
    owners_count: bool
    """Its owners are kept: true for stages and images, not for the context."""


class Origins:
    """Mounts what is opened below `folder`, until `close`."""

    def __init__(
        self,
        *,
        context: TarTree,
        bases: Bases,
        layers: Layers,
        pins: Pins,
        options: BuildOptions,
        progress: Progress,
        folder: Path,
    ) -> None:
        self._context = context
        self._bases = bases
        self._layers = layers
        self._pins = pins
        self._options = options
        self._progress = progress
        self._folder = folder
        self._stages: dict[int, StageState] = {}
        self._images: dict[str, Image] = {}
        self._trees: dict[str, Tree] = {}
        self._mounts = AsyncExitStack()

    async def close(self) -> None:
        await self._mounts.aclose()

    def finished(self, index: int, state: StageState) -> None:
        """From now on others may copy from that stage."""
        self._stages[index] = state

    def stage(self, index: int) -> StageState:
        return self._stages[index]

    async def image(self, name: str) -> Image:
        """The image, its layers pinned until the build ends; found or pulled once."""
        if name not in self._images:
            image = await self._bases.resolve(name, self._options, self._progress)
            for diff_id in image.layers:
                self._pins.add(self._layers.get(diff_id).diff_id)
            self._images[name] = image
        return self._images[name]

    async def origin(self, name: str | None, planned: PlannedStage | None) -> Origin:
        """What `--from=name` means in the stage `planned`; None is the context."""
        if name is None:
            return Origin(self._open_context, None, owners_count=False)
        meaning: int | str = planned.sources.get(name, name) if planned is not None else name
        if isinstance(meaning, int):
            layers: Sequence[Digest] = self._stages[meaning].layers
        elif meaning == SCRATCH:
            layers = ()
        else:
            layers = (await self.image(meaning)).layers
        identity = keys.chain(layers)

        async def opened() -> Tree:
            return await self._open_layers(identity, layers)

        return Origin(opened, identity, owners_count=True)

    async def _open_context(self) -> Tree:
        return self._context

    async def _open_layers(self, identity: str, layers: Sequence[Digest]) -> Tree:
        if identity not in self._trees:
            paths = [self._layers.get(diff_id).path for diff_id in layers]
            mounted = read_only(self._folder / f"from-{identity[:16]}", paths)
            self._trees[identity] = DirectoryTree(await self._mounts.enter_async_context(mounted))
        return self._trees[identity]
