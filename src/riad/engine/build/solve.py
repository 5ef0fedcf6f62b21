"""Carries a plan out and makes the image. Stages run side by side, each as soon as those it needs are done.

The order: Dockerfile → plan → all base images (with their triggers) → what the steps need of the context → the stages.
Every layer in use is pinned until the build ends; every mount lies below the build's own folder.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riad.dockerfile.instructions import Arg, Label
from riad.dockerfile.parse import parse
from riad.dockerfile.references import PROXY_ARGS, platform_args
from riad.engine.build.bases import Bases
from riad.engine.build.cache import Cache, Made
from riad.engine.build.clients import Client, Silent
from riad.engine.build.contexts import Context, Definition, TarContext
from riad.engine.build.evaluate import Scope
from riad.engine.build.mounting import CacheFolders
from riad.engine.build.options import BuildOptions
from riad.engine.build.origins import OpenTree, Origins
from riad.engine.build.pins import Pins
from riad.engine.build.plan import Plan, context_name, plan
from riad.engine.build.progress import (
    NO_STAGE,
    Built,
    InOrder,
    Progress,
    StageFinished,
    StepStarted,
    Tagged,
    Tell,
    Warned,
    of_stage,
)
from riad.engine.build.rootfs import place_for, sweep
from riad.engine.build.run import Commands
from riad.engine.build.stages import StageRun
from riad.engine.build.stagestate import StageState
from riad.engine.build.steps import Steps
from riad.engine.build.tree import TarTree, Tree
from riad.engine.build.turns import Turns
from riad.engine.build.wanted import wanted_paths
from riad.engine.images.local import Images
from riad.engine.images.model import Image
from riad.kernel.clock import Clock
from riad.kernel.faults import invalid
from riad.oci.config import ImageConfig
from riad.oci.reference import Reference

_PREDEFINED = frozenset({"SOURCE_DATE_EPOCH", "TARGETSTAGE", *platform_args("os/arch")})


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


@dataclass(frozen=True, slots=True)
class Job:
    """One build. `folder` comes from `workplace`; `named` are the named contexts, images as `docker-image://NAME`,
    others with what opens them in `files`; `given` are images that are known by their configuration only.
    """

    context: Context
    options: BuildOptions
    folder: Path
    tell: Tell
    client: Client = field(default_factory=Silent)
    named: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, OpenTree] = field(default_factory=dict)
    given: Mapping[str, ImageConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Solved:
    """What a build came to; its layers stay as long as the build's context manager is open. `trail` are the records of
    all its steps, those found in the cache included.
    """

    state: StageState
    plan: Plan
    folder: Path
    trail: tuple[Made, ...] = ()


class Builder:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._work = parts.root / "work"
        self._shared = Shared(Turns(), CacheFolders(parts.root / "caches"))

    @property
    def parts(self) -> Parts:
        return self._parts

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

    async def clear_cache_mounts(self, names: Collection[str] | None = None) -> int:
        """Removes the folders of `RUN --mount=type=cache` (of these `names`, or all) that no command is in.

        Returns the bytes freed.
        """
        return await asyncio.to_thread(self._shared.caches.clear, names)

    async def build(
        self,
        context: TarTree | Context,
        options: BuildOptions,
        *,
        folder: Path,
        progress: Progress,
        client: Client | None = None,
    ) -> Image:
        """Builds what `options` ask for and tells it stage by stage. Raises faults that name file and line."""
        order = InOrder(progress)
        source = TarContext(context, options.dockerfile) if isinstance(context, TarTree) else context
        job = Job(source, options, folder, order.tell, client or Silent())
        async with self.solved(job, order=order) as solved:
            image = self.make_image(solved, options.tags)
            await progress(Built(image.id))
            for tag in options.tags:
                await progress(Tagged(tag.familiar))
        await self._parts.cache.trim()
        return image

    @asynccontextmanager
    async def solved(self, job: Job, *, order: InOrder | None = None) -> AsyncIterator[Solved]:
        """Builds; makes no image yet. Raises faults that name file and line."""
        pins = Pins(self._parts.images.layers)
        try:
            solve = _Solve(self._parts, self._shared, job, pins)
            yield await solve.solved(order)
        finally:
            pins.release()

    def make_image(self, solved: Solved, tags: Iterable[Reference]) -> Image:
        """Keeps the result as an image of that name; an image that is here already only gets the names."""
        images = self._parts.images
        names = tuple(tags)
        layers = [images.layers.get(diff_id) for diff_id in solved.state.layers]
        for layer in layers:
            images.layers.pin(layer.diff_id)  # `create` takes one pin of each over
        image = images.create(solved.state.image, layers, names)
        images.announce("create", image.id, {"name": image.id})
        for tag in names:
            images.announce("tag", image.id, {"name": tag.familiar})
        return image


class _Solve:
    """One build."""

    def __init__(self, parts: Parts, shared: Shared, job: Job, pins: Pins) -> None:
        self._parts = parts
        self._shared = shared
        self._job = job
        self._pins = pins
        self._total = 0
        self._trail: list[Made] = []

    async def solved(self, order: InOrder | None) -> Solved:
        job = self._job
        platform = self._parts.bases.platform
        self._parts.bases.check(job.options.platform)
        definition = await job.context.definition()
        dockerfile = parse(definition.content)
        args = job.options.build_args
        planned = plan(dockerfile, args, target=job.options.target, platform=platform, named=job.named)
        self._total = planned.steps + bool(job.options.labels)
        if order is not None:
            order.expect([stage.stage.index for stage in planned.stages])
        wanted: list[tuple[str, ...] | None] = [()]

        async def context() -> Tree:
            return await job.context.tree(definition, wanted[0])

        origins = self._origins(context)
        try:
            await self._announce(planned)
            runs = self._runs(planned, origins, definition)
            await together(run.find_base() for run in runs)
            wanted[0] = wanted_paths((i for run in runs for i in run.instructions), escape=dockerfile.escape)
            state = await self._stages(planned, runs, origins)
            await self._warn_of_unused(planned)
            return Solved(await self._labelled(state, runs[-1]), planned, job.folder, tuple(self._trail))
        finally:
            await origins.close()

    async def _announce(self, planned: Plan) -> None:
        for warning in self._job.options.warnings:
            await self._job.tell(NO_STAGE, Warned(warning))
        for number, arg in enumerate(planned.dockerfile.global_args, start=1):
            await self._job.tell(NO_STAGE, StepStarted(number, self._total, arg.text))

    def _runs(self, planned: Plan, origins: Origins, definition: Definition) -> list[StageRun]:
        steps = self._steps(planned, origins, definition)
        return [StageRun(stage, steps, self._parts.bases, self._job.tell, self._total) for stage in planned.stages]

    async def _stages(self, planned: Plan, runs: list[StageRun], origins: Origins) -> StageState:
        """Runs all stages, each after those it needs; the state of the last."""
        done = {stage.stage.index: asyncio.Event() for stage in planned.stages}

        async def carried_out(run: StageRun) -> None:
            for index in run.planned.needs:
                await done[index].wait()
            origins.finished(run.planned.stage.index, await run.carry_out())
            await self._job.tell(run.planned.stage.index, StageFinished())
            done[run.planned.stage.index].set()

        await together(carried_out(run) for run in runs)
        return origins.stage(planned.stages[-1].stage.index)

    async def _labelled(self, state: StageState, last: StageRun) -> StageState:
        if not self._job.options.labels:
            return state
        return await last.add(_label(self._job.options.labels), state, self._total)

    def _origins(self, context: OpenTree) -> Origins:
        return Origins(
            context=context,
            bases=self._parts.bases,
            layers=self._parts.images.layers,
            pins=self._pins,
            options=self._job.options,
            client=self._job.client,
            folder=self._job.folder,
            given=self._job.given,
            named={context_name(name): opened for name, opened in self._job.files.items()},
        )

    def _steps(self, planned: Plan, origins: Origins, definition: Definition) -> Steps:
        options = self._job.options
        given = {name: value for name, value in options.build_args.items() if value is not None}
        return Steps(
            options=options,
            dockerfile=definition.name,
            scope=Scope(planned.global_values, given, planned.dockerfile.escape),
            origins=origins,
            pins=self._pins,
            progress=of_stage(self._job.tell, NO_STAGE),
            folder=self._job.folder,
            layers=self._parts.images.layers,
            cache=self._parts.cache,
            no_cache=options.no_cache,
            commands=self._parts.commands,
            client=self._job.client,
            turns=self._shared.turns,
            caches=self._shared.caches,
            clock=self._parts.clock,
            trail=self._trail,
            epoch=_epoch(options.build_args.get("SOURCE_DATE_EPOCH")),
        )

    async def _warn_of_unused(self, planned: Plan) -> None:
        declared = {name for arg in (*planned.dockerfile.global_args, *_args_of(planned)) for name, _ in arg.args}
        unused = sorted(set(self._job.options.build_args) - declared - PROXY_ARGS - _PREDEFINED)
        if unused:
            warning = f"One or more build-args [{' '.join(unused)}] were not consumed"
            await self._job.tell(NO_STAGE, Warned(warning))


async def together(works: Iterable[Awaitable[Any]]) -> None:
    """All at once; the first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(_awaited(work))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _awaited(work: Awaitable[Any]) -> None:
    await work


def _epoch(text: str | None) -> str:
    """Raises INVALID for what are no seconds since 1970."""
    if not text:
        return ""
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise invalid(f"SOURCE_DATE_EPOCH={text}: expected seconds since 1970")
    return datetime.fromtimestamp(int(text), UTC).isoformat().replace("+00:00", "Z")


def _label(labels: Mapping[str, str]) -> Label:
    """The LABEL that `--label` stands for: quoted, so that nothing in it is expanded."""
    pairs = tuple((name, "'" + value.replace("'", "'\"'\"'") + "'") for name, value in labels.items())
    return Label(text="LABEL " + " ".join(f"{name}={value}" for name, value in labels.items()), pairs=pairs)


def _args_of(planned: Plan) -> list[Arg]:
    return [i for stage in planned.stages for i in stage.stage.instructions if isinstance(i, Arg)]
