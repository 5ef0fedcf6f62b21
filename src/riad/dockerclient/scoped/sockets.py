"""One socket per job, each showing and allowing its project's things only; everything a job made goes with it.

A job's socket is `<folder>/<job id>/docker.sock`. `<folder>` is closed to other users of the host; the
socket itself may be used by whoever reaches it, since users inside containers have any number.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from riad.dockerclient.client import DockerClient
from riad.dockerclient.errors import faults_ignored
from riad.dockerclient.scoped.proxy import ScopedProxy
from riad.dockerclient.scoped.scope import JOB, Scope
from riad.kernel import logs
from riad.kernel.faults import Fault, Kind

log = logs.named("scoped")

LARGEST_HEAD = 2**20
"""As Docker's engines: build arguments come in the query."""


@dataclass(frozen=True, slots=True)
class _Open:
    proxy: ScopedProxy
    runner: web.AppRunner
    path: Path


async def serve(proxy: ScopedProxy, path: Path) -> web.AppRunner:
    """Answers at a new unix socket that only its owner may use, until the runner is cleaned up."""
    runner = web.AppRunner(
        proxy.application(),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=0.1,
        max_line_size=LARGEST_HEAD,
        max_field_size=LARGEST_HEAD,
    )
    await runner.setup()
    before = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(path)).start()
    finally:
        os.umask(before)
    return runner


class ScopedSockets:
    """`registry_host` is HOST:PORT as image names have it. Every method belongs to one event loop."""

    def __init__(self, docker_host: str, folder: Path, registry_host: str) -> None:
        self._docker_host = docker_host
        self._folder = folder
        self._registry = registry_host
        self._open: dict[int, _Open] = {}
        self._lock = asyncio.Lock()

    async def open(self, project_path: str, job_id: int) -> str:
        """The path of the job's socket, answering. Opening it again gives the same one."""
        async with self._lock:
            if job_id not in self._open:
                self._open[job_id] = await self._start(Scope(self._registry, project_path, job_id))
            return str(self._open[job_id].path)

    async def close(self, job_id: int) -> None:
        """The socket is gone, and with it the containers and networks that the job made; volumes and images stay.

        May be repeated, also for a job whose socket was opened by an earlier process. Raises UNAVAILABLE while the
        engine is away.
        """
        async with self._lock:
            if (opened := self._open.pop(job_id, None)) is not None:
                await opened.runner.cleanup()
                await opened.proxy.close()
            await asyncio.to_thread(shutil.rmtree, self._folder / str(job_id), ignore_errors=True)
        await self._remove_left(job_id)

    async def stop(self) -> None:
        """Closes every socket; what the jobs made stays, they may go on with another process."""
        async with self._lock:
            for opened in self._open.values():
                await opened.runner.cleanup()
                await opened.proxy.close()
            self._open.clear()

    async def _start(self, scope: Scope) -> _Open:
        folder = self._folder / str(scope.job_id)
        spool = self._folder / "spool"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        for inner in (folder, spool):
            inner.mkdir(exist_ok=True, mode=0o755)
        path = folder / "docker.sock"
        path.unlink(missing_ok=True)
        proxy = ScopedProxy(self._docker_host, scope, spool)
        runner = await serve(proxy, path)
        path.chmod(0o666)
        return _Open(proxy, runner, path)

    async def _remove_left(self, job_id: int) -> None:
        label = {"label": [f"{JOB}={job_id}"]}
        async with DockerClient(self._docker_host) as docker:
            for container in await docker.containers.list(stopped=True, filters=label):
                with faults_ignored(Kind.CONFLICT):  # it is being removed already
                    await docker.containers.remove(container["Id"], force=True)
            for network in await docker.networks.list(filters=label):
                try:
                    await docker.networks.remove(network["Id"])
                except Fault as fault:
                    log.warning("a job's network stays: %s", fault, extra=logs.fields(job=job_id))
        with suppress(OSError):
            (self._folder / str(job_id)).rmdir()
