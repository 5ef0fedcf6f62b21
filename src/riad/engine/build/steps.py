"""Does one step: from the cache where an earlier build did it, else in a mounted workspace.

A step that changes files goes: key → record? → else, under the key's turn: do it in a workspace → adopt the written
folder as a layer → record. Turns make identical steps of concurrent builds run once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from riad.dockerfile.instructions import Instruction
from riad.engine.build import keys, mounting
from riad.engine.build.cache import Cache, Made
from riad.engine.build.clients import Client
from riad.engine.build.copy import CopyJob, copy_into
from riad.engine.build.errors import CommandFailed
from riad.engine.build.evaluate import SCRIPTS, Configure, Execute, MakeDirectory, Place, Scope, evaluate
from riad.engine.build.gather import gathering, named_owner
from riad.engine.build.mounting import CacheFolders
from riad.engine.build.options import BuildOptions
from riad.engine.build.origins import Origins
from riad.engine.build.pins import Pins
from riad.engine.build.place import Placement
from riad.engine.build.plan import PlannedStage
from riad.engine.build.progress import CacheUsed, CommandFinished, CommandStarted, Output, Progress
from riad.engine.build.rootfs import Workspace, detach, drop_unchanged, workspace
from riad.engine.build.run import Commands, Task
from riad.engine.build.stagestate import StageState
from riad.engine.build.tree import Tree
from riad.engine.build.turns import Turns
from riad.engine.containers import spec
from riad.engine.images.layers import Layers
from riad.engine.images.model import Layer
from riad.kernel.clock import Clock
from riad.kernel.faults import denied
from riad.oci.config import History
from riad.oci.digest import Digest

Make = Callable[[Workspace, Path], Awaitable[None]]
"""Writes a step's files into the workspace; the path is a folder for what it needs besides."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one stage. `turns` and `caches` are shared by all builds; `folder` is this build's own;
    `dockerfile` is its name for messages; with `no_cache` every step is done anew. `trail` gets what the steps came to;
    `epoch` is the time that the image's history shall show (RFC 3339), "" for the real one.
    """

    options: BuildOptions
    dockerfile: str
    scope: Scope
    origins: Origins
    pins: Pins
    progress: Progress
    folder: Path
    layers: Layers
    cache: Cache
    no_cache: bool
    commands: Commands
    client: Client
    turns: Turns
    caches: CacheFolders
    clock: Clock
    trail: list[Made]
    epoch: str = ""

    async def perform(self, instruction: Instruction, state: StageState, planned: PlannedStage | None) -> StageState:
        action = evaluate(instruction, state, self.scope)
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
        record = None if self.no_cache else self.cache.find(key)
        if record is None:
            created = self._now()
            self.cache.keep(key, None, created=created, description=created_by)
        else:
            created = record.created
            await self.progress(CacheUsed())
        self.trail.append(Made(key, None, created, created_by))
        history = History(created=self.epoch or created, created_by=created_by, empty_layer=True)
        return state.grown(history, key=key)

    async def _directory(self, action: MakeDirectory, state: StageState) -> StageState:
        async def make(space: Workspace, _: Path) -> None:
            await asyncio.to_thread(_make_directory, space.merged, action.path)

        key = keys.directory(state.layers, action.path)
        return await self._layered([key], action.created_by, state, action.state, make)

    async def _copied(self, action: Place, state: StageState, planned: PlannedStage | None) -> StageState:
        """By what identifies the sources where that is known, else by the digest of the files themselves.

        With --link it is a layer of its own, that does not depend on those below.
        """
        loose = action.link and not named_owner(action.chown)
        below = () if loose else state.layers
        async with gathering(self, action, planned) as gathered:

            async def make(space: Workspace, beside: Path) -> None:
                job = CopyJob(action, await gathered.parts(), space.merged, now=self.clock.now())
                await asyncio.to_thread(copy_into, space.merged, job, beside)

            names = []
            identity = await gathered.identity()
            if identity is not None:
                names.append(keys.copy(below, action, content=identity + repr(action.sources)))
            if not names or self.no_cache or self.cache.find(names[0]) is None:
                names.insert(0, keys.copy(below, action, content=await gathered.content()))
            return await self._layered(names, action.created_by, state, state, make, below=below)

    async def _ran(self, action: Execute, state: StageState, planned: PlannedStage | None, line: int) -> StageState:
        options = self.options
        self._check_entitled(action)
        network = action.network if action.network not in (None, "default") else options.network
        network = "bridge" if network in ("", "default", None) else network

        async def open_tree(name: str | None) -> Tree:
            return await (await self.origins.origin(name, planned, self.progress)).open()

        shown = [await mounting.shown(mount, open_tree) for mount in action.mounts]

        async def make(space: Workspace, beside: Path) -> None:
            scripts = await asyncio.to_thread(_write_scripts, action, beside)
            secret = mounting.needs_memory(action.mounts)
            async with mounting.in_memory(beside / "private", real=secret) as private:
                around = mounting.Around(action.cwd, open_tree, self.caches, self.client, private, party=options.party)
                async with mounting.mounted(action.mounts, beside, around) as mounted:
                    bundle = private / "bundle"  # its files have the environment in them
                    bundle.mkdir()
                    task = Task(
                        id=secrets.token_hex(32),
                        bundle=bundle,
                        rootfs=space.merged,
                        args=action.args,
                        env=(*action.env, *mounted.env),
                        cwd=action.cwd,
                        user=action.user,
                        network=network,
                        mounts=(*scripts, *mounted.mounts),
                        extra_hosts=options.extra_hosts,
                        resources=options.resources,
                        limits=options.limits,
                        shm_size=options.shm_size,
                        privileged=action.privileged,
                    )
                    await self._command(task, action, line)

        key = keys.run(
            state.layers,
            action,
            network=network,
            hosts=options.extra_hosts,
            mounted=shown,
            party=options.party,
        )
        return await self._layered([key], action.created_by, state, state, make)

    def _check_entitled(self, action: Execute) -> None:
        """What a Dockerfile may not take for itself. Raises DENIED."""
        allow = self.options.allow
        if action.privileged and "security.insecure" not in allow:
            raise denied("security.insecure is not allowed: build with --allow security.insecure")
        if action.network == "host" and "network.host" not in allow and self.options.network != "host":
            raise denied("network.host is not allowed: build with --allow network.host")

    async def _command(self, task: Task, action: Execute, line: int) -> None:
        await self.progress(CommandStarted(task.id[:12]))

        async def output(data: bytes) -> None:
            await self.progress(Output(data))

        code = await self.commands.run(task, output=output)
        await self.progress(CommandFinished(task.id[:12]))
        if code != 0:
            raise CommandFailed(action.shown, code, dockerfile=self.dockerfile, line=line)

    async def _layered(
        self,
        names: list[str],
        created_by: str,
        state: StageState,
        after: StageState,
        make: Make,
        below: Sequence[Digest] | None = None,
    ) -> StageState:
        """A step that may change files: from the cache by its first name, else made and recorded under all names.

        It is made over the layers `below`, the stage's own where that is not given.
        """
        async with self.turns.of(names[0]):
            record = None if self.no_cache else self.cache.find(names[0])
            if record is not None:
                await self.progress(CacheUsed())
                layer, created = record.layer, record.created
                if layer is not None:
                    self.pins.add(layer.diff_id)
            else:
                layer = await self._made(state.layers if below is None else below, make)
                created = self._now()
            for number, name in enumerate(names):
                if number or record is None:
                    self.cache.keep(name, layer, created=created, description=created_by, alias=number > 0)
        diff_id = layer.diff_id if layer else None
        self.trail.extend(Made(name, diff_id, created, created_by) for name in names)
        key = keys.next_history(after.key, created_by, str(layer.diff_id) if layer else None)
        history = History(created=self.epoch or created, created_by=created_by, empty_layer=layer is None)
        return after.grown(history, key=key, layer=layer.diff_id if layer else None)

    async def _made(self, below: Sequence[Digest], make: Make) -> Layer | None:
        lowers = [self.layers.get(diff_id).path for diff_id in below]
        step = self.folder / f"step-{secrets.token_hex(4)}"
        async with workspace(step, lowers) as space:
            beside = step / "beside"
            beside.mkdir()
            await make(space, beside)
            upper = detach(space)
            await asyncio.to_thread(drop_unchanged, upper, lowers)
            if not any(upper.iterdir()):
                return None
            layer = await self.layers.adopt(upper)
            self.pins.take_over(layer.diff_id)
            return layer

    def new_folder(self, kind: str) -> Path:
        """An empty folder that is gone with the build at the latest."""
        folder = self.folder / f"{kind}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        return folder

    def _now(self) -> str:
        return self.clock.now().isoformat().replace("+00:00", "Z")


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
