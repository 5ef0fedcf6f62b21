"""Carries a plan out: stage by stage, step by step, each looked up in the cache before it is done.

A step that changes files goes: key → record? → else under the key's lock: do it in a mounted workspace → adopt the
written folder as a layer → record. The lock makes identical steps of concurrent builds run once. Every layer in use is
pinned until the build ends; every mount lies below the build's own folder.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from riad.dockerfile.ignore import parse_ignore
from riad.dockerfile.instructions import Arg, Copy, Instruction, Label, Run
from riad.dockerfile.parse import parse, parse_trigger
from riad.dockerfile.references import PROXY_ARGS
from riad.engine.build import keys, mounting
from riad.engine.build.bases import Bases
from riad.engine.build.cache import Cache
from riad.engine.build.copy import CopyJob, copy_into
from riad.engine.build.errors import CommandFailed, located
from riad.engine.build.evaluate import SCRIPTS, Configure, Execute, MakeDirectory, Place, Scope, evaluate
from riad.engine.build.mounting import CacheFolders
from riad.engine.build.options import BuildOptions
from riad.engine.build.place import Placement
from riad.engine.build.plan import Plan, PlannedStage, plan
from riad.engine.build.progress import (
    Built,
    CacheUsed,
    CommandFinished,
    CommandStarted,
    Output,
    Progress,
    StepFinished,
    StepStarted,
    Tagged,
    TriggersStarted,
    Warned,
)
from riad.engine.build.rootfs import Workspace, detach, place_for, read_only, sweep, workspace
from riad.engine.build.run import Commands, Task
from riad.engine.build.sources import digest, find
from riad.engine.build.stagestate import StageState, with_path
from riad.engine.build.tree import DirectoryTree, Kind, TarTree, Tree, resolve
from riad.engine.build.turns import Turns
from riad.engine.containers import spec
from riad.engine.images.layers import Layers
from riad.engine.images.local import Images
from riad.engine.images.model import Image, Layer
from riad.kernel.clock import Clock
from riad.kernel.faults import Fault, invalid, unsupported
from riad.oci.config import History, ImageConfig
from riad.oci.digest import Digest, digest_of

_LARGEST_DOCKERFILE = 4 * 2**20
_T = TypeVar("_T")

Make = Callable[[Workspace, Path], Awaitable[None]]
"""Writes a step's files into the workspace; the path is a folder for what it needs besides."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What builds are made with. `root` is on the file system of the layer store."""

    images: Images
    bases: Bases
    cache: Cache
    commands: Commands
    root: Path
    clock: Clock


class Builder:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._work = parts.root / "work"
        self.caches = CacheFolders(parts.root / "caches")
        self._turns = Turns()

    async def recover(self) -> None:
        """Removes what killed builds left: commands, mounts, folders. Before the first build."""
        await self._parts.commands.recover()
        await asyncio.to_thread(sweep, self._work)

    @asynccontextmanager
    async def workplace(self) -> AsyncIterator[Path]:
        """A folder for one build, with its context; gone afterwards with everything mounted in it."""
        async with place_for(self._work, secrets.token_hex(8)) as folder:
            yield folder

    async def build(self, context: TarTree, options: BuildOptions, *, folder: Path, progress: Progress) -> Image:
        """Builds what `options` ask for; `folder` comes from `workplace`. Raises faults that name file and line."""
        solve = _Solve(self._parts, self.caches, self._turns, context, options, folder, progress)
        try:
            image = await solve.image()
        finally:
            solve.unpin()
        await self._parts.cache.trim()
        return image


class _Solve:
    """One build."""

    def __init__(
        self,
        parts: Parts,
        caches: CacheFolders,
        turns: Turns,
        context: TarTree,
        options: BuildOptions,
        folder: Path,
        progress: Progress,
    ) -> None:
        self._parts = parts
        self._layers: Layers = parts.images.layers
        self._caches = caches
        self._turns = turns
        self._whole = context
        self._options = options
        self._folder = folder
        self._progress = progress
        self._pinned: list[Digest] = []
        self._states: dict[int, StageState] = {}
        self._images: dict[str, Image] = {}
        self._number = 0
        self._total = 0
        self._missed = False

    # the build as a whole

    async def image(self) -> Image:
        self._parts.bases.check(self._options.platform)
        dockerfile = parse(_dockerfile(self._whole, self._options.dockerfile))
        build_args = self._options.build_args
        planned = plan(dockerfile, build_args, target=self._options.target, platform=self._parts.bases.platform)
        self._context = await asyncio.to_thread(_visible, self._whole, self._options.dockerfile)
        self._scope = Scope(
            planned.global_values,
            {name: value for name, value in build_args.items() if value is not None},
            dockerfile.escape,
        )
        self._total = planned.steps + bool(self._options.labels)
        for arg in dockerfile.global_args:
            await self._start(arg.text)
        async with AsyncExitStack() as self._mounts:
            self._trees: dict[str, Tree] = {}
            for stage in planned.stages:
                self._states[stage.stage.index] = await self._stage(stage)
        await self._warn_of_unused(planned)
        return await self._finish(self._states[planned.stages[-1].stage.index])

    def unpin(self) -> None:
        for diff_id in self._pinned:
            self._layers.unpin(diff_id)
        self._pinned.clear()

    async def _finish(self, state: StageState) -> Image:
        if self._options.labels:
            state = await self._step(_label(self._options.labels), state, None)
        layers = [self._layers.get(diff_id) for diff_id in state.layers]
        for layer in layers:
            self._layers.pin(layer.diff_id)  # `create` takes one pin of each over
        tags = tuple(tag.with_default_tag() for tag in self._options.tags)
        image = self._parts.images.create(state.image, layers, tags)
        await self._progress(Built(image.id))
        for tag in tags:
            self._parts.images.announce("tag", image.id, {"name": tag.familiar})
            await self._progress(Tagged(tag.familiar))
        return image

    async def _warn_of_unused(self, planned: Plan) -> None:
        declared = {name for arg in (*planned.dockerfile.global_args, *_args_of(planned)) for name, _ in arg.args}
        unused = sorted(set(self._options.build_args) - declared - PROXY_ARGS)
        if unused:
            await self._progress(Warned(f"One or more build-args [{' '.join(unused)}] were not consumed"))

    # stages

    async def _stage(self, planned: PlannedStage) -> StageState:
        base = planned.base
        self._parts.bases.check(base.platform)
        await self._start(planned.stage.base.text)
        triggers: tuple[str, ...] = ()
        if base.stage is not None:
            before = self._states[base.stage]
            state = replace(before, args={}, cmd_here=False)
        elif base.image is None:
            config = ImageConfig(config=with_path(ImageConfig().config))
            state = StageState(config, keys.base_history("scratch"))
        else:
            image = await self._located(planned.stage.base.line, self._image(base.image))
            config = replace(image.config, config=with_path(image.config.config))
            state = StageState(config, keys.base_history(image.id))
        triggers = state.config.on_build
        if triggers:
            state = state.with_config(replace(state.config, on_build=()))
        await self._progress(StepFinished(_short(state)))
        if triggers:
            await self._progress(TriggersStarted(len(triggers)))
        for trigger in triggers:
            instruction = _safe_trigger(trigger, planned)
            state = await self._step(instruction, state, planned, silent=True)
        for instruction in planned.stage.instructions:
            state = await self._step(instruction, state, planned)
        return state

    async def _image(self, name: str) -> Image:
        if name not in self._images:
            image = await self._parts.bases.resolve(name, self._options, self._progress)
            for diff_id in image.layers:
                self._layers.get(diff_id)
                self._pin(diff_id)
            self._images[name] = image
        return self._images[name]

    # steps

    async def _start(self, text: str) -> None:
        self._number += 1
        await self._progress(StepStarted(self._number, self._total, text))

    async def _step(
        self, instruction: Instruction, state: StageState, planned: PlannedStage | None, *, silent: bool = False
    ) -> StageState:
        if not silent:
            await self._start(instruction.text)
        after = await self._located(instruction.line, self._perform(instruction, state, planned))
        await self._progress(StepFinished(_short(after)))
        return after

    async def _located(self, line: int, work: Awaitable[_T]) -> _T:
        try:
            return await work
        except Fault as fault:
            raise located(fault, line) from None

    async def _perform(self, instruction: Instruction, state: StageState, planned: PlannedStage | None) -> StageState:
        action = evaluate(instruction, state, self._scope)
        match action:
            case Configure():
                return await self._configured(action.created_by, action.state)
            case MakeDirectory():
                return await self._directory(action, state)
            case Place():
                return await self._copied(action, state, planned)
            case Execute():
                return await self._ran(action, state, planned, instruction.line)
        raise AssertionError(action)

    async def _configured(self, created_by: str, state: StageState) -> StageState:
        """A step that changes no files: done already; the record only remembers when it was first made."""
        key = keys.next_history(state.key, created_by, None)
        record = None if self._options.no_cache else self._parts.cache.find(key)
        if record is None:
            created = self._now()
            self._parts.cache.keep(key, None, created=created, description=created_by)
        else:
            created = record.created
            await self._progress(CacheUsed())
        return state.grown(History(created=created, created_by=created_by, empty_layer=True), key=key)

    async def _directory(self, action: MakeDirectory, state: StageState) -> StageState:
        async def make(space: Workspace, _: Path) -> None:
            await asyncio.to_thread(_make_directory, space.merged, action.path)

        key = keys.directory(state.layers, action.path)
        return await self._layered([key], action.created_by, state, action.state, make, drop_empty=True)

    async def _copied(self, action: Place, state: StageState, planned: PlannedStage | None) -> StageState:
        """By what identifies the source where that is known, else by the digest of the files themselves."""
        source, identity = await self._source(action.from_, planned)
        keep_owners = action.from_ is not None

        async def job() -> CopyJob:
            tree = await source()
            found = await asyncio.to_thread(find, tree, action.sources, keyword=action.keyword)
            return CopyJob(action, tree, tuple(found), keep_owners=keep_owners, now=self._parts.clock.now())

        async def make(space: Workspace, beside: Path) -> None:
            await asyncio.to_thread(copy_into, space.merged, await job(), beside)

        names = [] if identity is None else [keys.copy(state.layers, action, content=identity + repr(action.sources))]
        if not names or self._options.no_cache or self._parts.cache.find(names[0]) is None:
            files = await job()
            content = await asyncio.to_thread(digest, files.tree, list(files.sources), owners=keep_owners)
            names = [keys.copy(state.layers, action, content=content), *names]
        return await self._layered(names, action.created_by, state, state, make)

    async def _ran(self, action: Execute, state: StageState, planned: PlannedStage | None, line: int) -> StageState:
        options = self._options
        network = action.network if action.network not in (None, "default") else options.network
        network = "bridge" if network in ("", "default", None) else network

        async def open_tree(name: str | None) -> Tree:
            source, _ = await self._source(name, planned)
            return await source()

        shown = [await mounting.shown(mount, open_tree) for mount in action.mounts]

        async def make(space: Workspace, beside: Path) -> None:
            scripts = await asyncio.to_thread(_write_scripts, action, beside)
            opened = mounting.mounted(action.mounts, beside, cwd=action.cwd, open_tree=open_tree, caches=self._caches)
            async with opened as mounts:
                bundle = beside / "bundle"
                bundle.mkdir()
                task = Task(
                    id=secrets.token_hex(32),
                    bundle=bundle,
                    rootfs=space.merged,
                    args=action.args,
                    env=action.env,
                    cwd=action.cwd,
                    user=action.user,
                    network=network,
                    mounts=(*scripts, *mounts),
                    extra_hosts=options.extra_hosts,
                    resources=options.resources,
                    limits=options.limits,
                    shm_size=options.shm_size,
                )
                await self._command(task, action, line)

        key = keys.run(state.layers, action, network=network, hosts=options.extra_hosts, mounted=shown)
        return await self._layered([key], action.created_by, state, state, make)

    async def _command(self, task: Task, action: Execute, line: int) -> None:
        await self._progress(CommandStarted(task.id[:12]))

        async def output(data: bytes) -> None:
            await self._progress(Output(data))

        code = await self._parts.commands.run(task, output=output)
        await self._progress(CommandFinished(task.id[:12]))
        if code != 0:
            raise CommandFailed(action.shown, code, dockerfile=self._options.dockerfile, line=line)

    async def _layered(
        self,
        names: list[str],
        created_by: str,
        state: StageState,
        after: StageState,
        make: Make,
        *,
        drop_empty: bool = False,
    ) -> StageState:
        """A step that may change files: from the cache by its first name, else made and recorded under all names."""
        async with self._turns.of(names[0]):
            record = None if self._options.no_cache else self._parts.cache.find(names[0])
            if record is not None:
                await self._progress(CacheUsed())
                layer, created = record.layer, record.created
                if layer is not None:
                    self._pin(layer.diff_id)
            else:
                layer = await self._made(state, make, drop_empty=drop_empty)
                created = self._now()
            for number, name in enumerate(names):
                if number or record is None:
                    self._parts.cache.keep(name, layer, created=created, description=created_by, alias=number > 0)
        key = keys.next_history(after.key, created_by, str(layer.diff_id) if layer else None)
        history = History(created=created, created_by=created_by, empty_layer=layer is None)
        return after.grown(history, key=key, layer=layer.diff_id if layer else None)

    async def _made(self, state: StageState, make: Make, *, drop_empty: bool) -> Layer | None:
        lowers = [self._layers.get(diff_id).path for diff_id in state.layers]
        step = self._folder / f"step-{secrets.token_hex(4)}"
        async with workspace(step, lowers) as space:
            beside = step / "beside"
            beside.mkdir()
            await make(space, beside)
            upper = detach(space)
            if drop_empty and not any(upper.iterdir()):
                return None
            layer = await self._layers.adopt(upper)
            self._pinned.append(layer.diff_id)
            return layer

    # sources of COPY and mounts

    async def _source(
        self, name: str | None, planned: PlannedStage | None
    ) -> tuple[Callable[[], Awaitable[Tree]], str | None]:
        """How to open the tree that `name` means, and what identifies it where that is cheaper than its content."""
        if name is None:
            return self._open_context, None
        meaning: int | str = planned.sources.get(name, name) if planned is not None else name
        if isinstance(meaning, int):
            layers: Sequence[Digest] = self._states[meaning].layers
        elif meaning == "scratch":
            layers = ()
        else:
            layers = (await self._image(meaning)).layers
        identity = keys.chain(layers)

        async def opened() -> Tree:
            if identity not in self._trees:
                paths = [self._layers.get(diff_id).path for diff_id in layers]
                mounted = read_only(self._folder / f"from-{identity[:16]}", paths)
                self._trees[identity] = DirectoryTree(await self._mounts.enter_async_context(mounted))
            return self._trees[identity]

        return opened, identity

    async def _open_context(self) -> Tree:
        return self._context

    def _pin(self, diff_id: Digest) -> None:
        self._layers.pin(diff_id)
        self._pinned.append(diff_id)

    def _now(self) -> str:
        return self._parts.clock.now().isoformat().replace("+00:00", "Z")


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


def _make_directory(root: Path, path: str) -> None:
    Placement(root, owner=None).directory(path)


def _write_scripts(action: Execute, beside: Path) -> tuple[spec.Mount, ...]:
    """The here-documents with `#!`, as files that only this command sees."""
    if not action.scripts:
        return ()
    folder = beside / "scripts"
    folder.mkdir()
    for name, content in action.scripts:
        file = folder / Path(name).name
        file.write_text(content)
        file.chmod(0o755)
    return (spec.Mount(SCRIPTS, str(folder), "bind", ("rbind", "rprivate", "ro")),)
