"""RUN: a command in a container of its own, made by the OCI runtime straight over the layers, without conmon.

Nobody attaches to such a container and it never outlives its build, so the runtime runs in the foreground and its
output is the build's. `Commands` is the port; `RuntimeCommands` the real thing, with the engine's networks.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from riad.engine.build.stubs import missing_stubs, remove_stubs
from riad.engine.containers import spec
from riad.engine.containers.user import account_in
from riad.engine.host.group_moves import GroupMoves
from riad.engine.host.runc import Runtime
from riad.engine.networks.model import Attachment, EndpointWish, NameWishes, Sandbox

_STUBS = (
    "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev", "/proc", "/sys/fs/cgroup", "/sys/fs", "/sys",  # noqa: S108
    "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/etc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """One command. `bundle` is an existing empty folder of the build; `rootfs` is mounted and writable."""

    id: str
    bundle: Path
    rootfs: Path
    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str
    network: str
    mounts: tuple[spec.Mount, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    resources: spec.Resources = field(default_factory=spec.Resources)
    limits: tuple[spec.Limit, ...] = ()
    shm_size: int = spec.DEFAULT_SHM_SIZE
    privileged: bool = False


OutputSink = Callable[[bytes], Awaitable[None]]


class Commands(Protocol):
    """Runs commands, several at a time. When `run` has ended, also by cancelling, nothing of the command is left."""

    async def run(self, task: Task, *, output: OutputSink) -> int:
        """The exit code. Raises INTERNAL with the runtime's reason where the command could not be started."""

    async def recover(self) -> None:
        """Removes what commands of an earlier life of the engine left; before the first `run`."""


class BuildNetworks(Protocol):
    async def prepare(self, request: Attachment) -> Sandbox: ...
    async def release(self, container_id: str, *, quietly: bool = False) -> None: ...
    def resolv_conf(self, container_id: str) -> str: ...
    def hosts(self, container_id: str) -> str: ...


class RuntimeCommands:
    def __init__(
        self,
        runtime: Runtime,
        networks: BuildNetworks,
        *,
        host: spec.Host,
        capabilities: tuple[str, ...],
        bounding: tuple[str, ...] = (),
        cgroup: str = "/riad-build",
        moves: GroupMoves | None = None,
    ) -> None:
        """`runtime` has a state folder that only builds use; `capabilities` are what commands get, `bounding` what
        those get that are allowed everything.
        """
        self._runtime = runtime
        self._moves = moves or GroupMoves()
        self._networks = networks
        self._host = host
        self._capabilities = capabilities
        self._bounding = bounding or capabilities
        self._cgroup = cgroup

    async def run(self, task: Task, *, output: OutputSink) -> int:
        async with self._network(task) as sandbox:
            stubs = missing_stubs(task.rootfs, [*_STUBS, *(mount.destination for mount in task.mounts)])
            try:
                bundle = self._bundle(task, sandbox)
                (task.bundle / "config.json").write_text(json.dumps(spec.runtime_spec(bundle, self._host)))
                self._moves.hasten()
                return await self._runtime.run(task.id, task.bundle, output=output)
            finally:
                remove_stubs(stubs)

    async def recover(self) -> None:
        for container in self._runtime.known():
            await self._runtime.delete(container)

    @asynccontextmanager
    async def _network(self, task: Task) -> AsyncIterator[Sandbox]:
        wish: Mapping[str, EndpointWish] = {task.network: EndpointWish()}
        request = Attachment(
            task.id,
            name=f"build-{task.id[:12]}",
            hostname=task.id[:12],
            networks=wish,
            names=NameWishes(hosts=task.extra_hosts),
        )
        try:
            yield await self._networks.prepare(request)
        finally:
            await self._networks.release(task.id)

    def _bundle(self, task: Task, sandbox: Sandbox) -> spec.Bundle:
        namespaces = {"pid": "", "ipc": "", "uts": "", "mount": ""}
        if sandbox.netns is not None:
            namespaces["network"] = str(sandbox.netns)
        account = account_in(task.rootfs, task.user)
        home = () if any(entry.startswith("HOME=") for entry in task.env) else (f"HOME={account.home}",)
        process = spec.Process(
            args=task.args,
            env=(*task.env, *home),
            cwd=task.cwd,
            user=account.user,
            capabilities=self._bounding if task.privileged else self._capabilities,
            limits=task.limits,
        )
        return spec.Bundle(
            root=str(task.rootfs),
            process=process,
            namespaces=namespaces,
            cgroup=f"{self._cgroup}/{task.id}",
            hostname=task.id[:12],
            mounts=(*self._files(task), *task.mounts),
            shm_size=task.shm_size,
            resources=task.resources,
            privileged=task.privileged,
        )

    def _files(self, task: Task) -> tuple[spec.Mount, ...]:
        texts = {
            "/etc/resolv.conf": self._networks.resolv_conf(task.id),
            "/etc/hosts": self._networks.hosts(task.id),
            "/etc/hostname": task.id[:12] + "\n",
        }
        found = []
        for path, text in texts.items():
            file = task.bundle / path.rpartition("/")[2]
            file.write_text(text)
            found.append(spec.Mount(path, str(file)))
        return tuple(found)
