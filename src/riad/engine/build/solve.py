"""Carries a plan out: stage by stage, step by step, and makes the image. How a step is done is in `steps`.

Every layer in use is pinned until the build ends; every mount lies below the build's own folder.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from riad.dockerfile.ignore import parse_ignore
from riad.dockerfile.instructions import Arg, Copy, Instruction, Label, Run
from riad.dockerfile.parse import parse, parse_trigger
from riad.dockerfile.references import PROXY_ARGS
from riad.engine.build import keys
from riad.engine.build.bases import Bases
from riad.engine.build.cache import Cache
from riad.engine.build.errors import located
from riad.engine.build.evaluate import Scope
from riad.engine.build.mounting import CacheFolders
from riad.engine.build.options import BuildOptions
from riad.engine.build.origins import Origins
from riad.engine.build.pins import Pins
from riad.engine.build.plan import Plan, PlannedStage, plan
from riad.engine.build.progress import (
    Built,
    Progress,
    StepFinished,
    StepStarted,
    Tagged,
    TriggersStarted,
    Warned,
)
from riad.engine.build.rootfs import place_for, sweep
from riad.engine.build.run import Commands
from riad.engine.build.stagestate import StageState, with_path
from riad.engine.build.steps import Steps
from riad.engine.build.tree import Kind, TarTree, resolve
from riad.engine.build.turns import Turns
from riad.engine.images.local import Images
from riad.engine.images.model import Image
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault, invalid, unsupported
from riad.oci.config import ContainerConfig, ImageConfig
from riad.oci.digest import digest_of

_LARGEST_DOCKERFILE = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Parts:
    """What builds are made with. `root` is on the file system of the layer store."""

    images: Images
    bases: Bases
    cache: Cache
    commands: Commands
    root: Path
    clock: Clock


@dataclass(frozen=True, slots=True)
class Shared:
    """What all builds of an engine have together."""

    turns: Turns
    caches: CacheFolders


class Builder:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._work = parts.root / "work"
        self._shared = Shared(Turns(), CacheFolders(parts.root / "caches"))

    async def recover(self) -> None:
        """Removes what killed builds left: commands, mounts, folders. Before the first build."""
        await self._parts.commands.recover()
        await asyncio.to_thread(sweep, self._work)

    @asynccontextmanager
    async def workplace(self) -> AsyncIterator[Path]:
        """A folder for one build, with its context; gone afterwards with everything mounted in it."""
        async with place_for(self._work, secrets.token_hex(8)) as folder:
            yield folder

    def cache_mounts(self) -> list[tuple[Path, bool]]:
        """The folders of `RUN --mount=type=cache`, and whether a command is in each."""
        return self._shared.caches.all()

    async def clear_cache_mounts(self) -> int:
        """Removes the folders of `RUN --mount=type=cache` that no command is in; returns the bytes freed."""
        return await asyncio.to_thread(self._shared.caches.clear)

    async def build(self, context: TarTree, options: BuildOptions, *, folder: Path, progress: Progress) -> Image:
        """Builds what `options` ask for; `folder` comes from `workplace`. Raises faults that name file and line."""
        image = await _Solve(self._parts, self._shared, context, options, folder, progress).image()
        await self._parts.cache.trim()
        return image


class _Solve:
    """One build."""

    def __init__(
        self,
        parts: Parts,
        shared: Shared,
        context: TarTree,
        options: BuildOptions,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._parts = parts
        self._shared = shared
        self._context = context
        self._options = options
        self._folder = folder
        self._progress = progress
        self._pins = Pins(parts.images.layers)
        self._number = 0
        self._total = 0

    async def image(self) -> Image:
        self._parts.bases.check(self._options.platform)
        dockerfile = parse(_dockerfile(self._context, self._options.dockerfile))
        platform = self._parts.bases.platform
        planned = plan(dockerfile, self._options.build_args, target=self._options.target, platform=platform)
        self._total = planned.steps + bool(self._options.labels)
        origins = self._origins(await asyncio.to_thread(_visible, self._context, self._options.dockerfile))
        try:
            for warning in self._options.warnings:
                await self._progress(Warned(warning))
            for arg in dockerfile.global_args:
                await self._start(arg.text)
            steps = self._steps(planned, origins)
            for stage in planned.stages:
                origins.finished(stage.stage.index, await self._stage(stage, steps))
            await self._warn_of_unused(planned)
            return await self._finish(origins.stage(planned.stages[-1].stage.index), steps)
        finally:
            await origins.close()
            self._pins.release()

    def _origins(self, context: TarTree) -> Origins:
        return Origins(
            context=context,
            bases=self._parts.bases,
            layers=self._parts.images.layers,
            pins=self._pins,
            options=self._options,
            progress=self._progress,
            folder=self._folder,
        )

    def _steps(self, planned: Plan, origins: Origins) -> Steps:
        given = {name: value for name, value in self._options.build_args.items() if value is not None}
        return Steps(
            options=self._options,
            scope=Scope(planned.global_values, given, planned.dockerfile.escape),
            origins=origins,
            pins=self._pins,
            progress=self._progress,
            folder=self._folder,
            layers=self._parts.images.layers,
            cache=self._parts.cache,
            commands=self._parts.commands,
            turns=self._shared.turns,
            caches=self._shared.caches,
            clock=self._parts.clock,
        )

    async def _finish(self, state: StageState, steps: Steps) -> Image:
        if self._options.labels:
            state = await self._step(_label(self._options.labels), state, steps)
        images = self._parts.images
        layers = [images.layers.get(diff_id) for diff_id in state.layers]
        for layer in layers:
            images.layers.pin(layer.diff_id)  # `create` takes one pin of each over
        image = images.create(state.image, layers, self._options.tags)
        await self._progress(Built(image.id))
        for tag in self._options.tags:
            images.announce("tag", image.id, {"name": tag.familiar})
            await self._progress(Tagged(tag.familiar))
        return image

    async def _warn_of_unused(self, planned: Plan) -> None:
        declared = {name for arg in (*planned.dockerfile.global_args, *_args_of(planned)) for name, _ in arg.args}
        unused = sorted(set(self._options.build_args) - declared - PROXY_ARGS)
        if unused:
            await self._progress(Warned(f"One or more build-args [{' '.join(unused)}] were not consumed"))

    async def _stage(self, planned: PlannedStage, steps: Steps) -> StageState:
        self._parts.bases.check(planned.base.platform)
        await self._start(planned.stage.base.text)
        try:
            state, shown = await self._based(planned, steps.origins)
        except Fault as fault:
            raise located(fault, planned.stage.base.line) from None
        triggers = state.config.on_build
        if triggers:
            state = state.with_config(replace(state.config, on_build=()))
        await self._progress(StepFinished(shown))
        if triggers:
            await self._progress(TriggersStarted(len(triggers)))
        for trigger in triggers:
            state = await self._step(_safe_trigger(trigger, planned), state, steps, planned, silent=True)
        for instruction in planned.stage.instructions:
            state = await self._step(instruction, state, steps, planned)
        return state

    async def _based(self, planned: PlannedStage, origins: Origins) -> tuple[StageState, str]:
        """What the stage begins with, and its short name."""
        base = planned.base
        if base.stage is not None:
            state = replace(origins.stage(base.stage), args={}, cmd_here=False)
            return state, _short(state)
        if base.image is None:
            state = StageState(ImageConfig(config=with_path(ContainerConfig())), keys.base_history("scratch"))
            return state, _short(state)
        image = await origins.image(base.image)
        config = replace(image.config, config=with_path(image.config.config), comment="")
        return StageState(config, keys.base_history(image.id)), image.id.short

    async def _start(self, text: str) -> None:
        self._number += 1
        await self._progress(StepStarted(self._number, self._total, text))

    async def _step(
        self,
        instruction: Instruction,
        state: StageState,
        steps: Steps,
        planned: PlannedStage | None = None,
        *,
        silent: bool = False,
    ) -> StageState:
        if not silent:
            await self._start(instruction.text)
        try:
            after = await steps.perform(instruction, state, planned)
        except Fault as fault:
            raise located(fault, instruction.line) from None
        await self._progress(StepFinished(_short(after)))
        return after


def _short(state: StageState) -> str:
    """The first characters of the id that the image would have here."""
    return digest_of(state.image.encode()).short


def _dockerfile(context: TarTree, name: str) -> bytes:
    node = resolve(context, name)
    if node is None or node.kind is not Kind.FILE:
        raise invalid(f"Cannot locate specified Dockerfile: {name} is not in the build context")
    if node.size > _LARGEST_DOCKERFILE:
        raise invalid(f"{name} is larger than {_LARGEST_DOCKERFILE} bytes: that is no Dockerfile")
    return context.read(node)


def _visible(context: TarTree, dockerfile: str) -> TarTree:
    """The context without what its ignore file takes out; `NAME.dockerignore` beside the Dockerfile comes first."""
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        node = resolve(context, name)
        if node is not None and node.kind is Kind.FILE:
            return context.without(parse_ignore(context.read(node).decode(errors="replace")))
    return context


def _label(labels: Mapping[str, str]) -> Label:
    """The LABEL that `--label` stands for: quoted, so that nothing in it is expanded."""
    pairs = tuple((name, "'" + value.replace("'", "'\"'\"'") + "'") for name, value in labels.items())
    return Label(text="LABEL " + " ".join(f"{name}={value}" for name, value in labels.items()), pairs=pairs)


def _args_of(planned: Plan) -> list[Arg]:
    return [i for stage in planned.stages for i in stage.stage.instructions if isinstance(i, Arg)]


def _safe_trigger(trigger: str, planned: PlannedStage) -> Instruction:
    """An ONBUILD trigger of a base image, which may not bring in images that its Dockerfile does not name."""
    instruction = parse_trigger(trigger, line=planned.stage.base.line)
    others = [instruction.from_] if isinstance(instruction, Copy) else []
    others += [mount.from_ for mount in instruction.mounts] if isinstance(instruction, Run) else []
    if any(others):
        raise unsupported(f"the base image's trigger ONBUILD {trigger} names another image, which is not supported")
    return instruction
