"""A real engine, by its own command, with an image made of this host's shell; pipelines run in its containers."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import engine_rootfs
from pipeline_room import Room, make_room
from riad.dockerclient.client import DockerClient
from riad.kernel.faults import Fault
from riad.pipelines.runner.docker_executor import DockerExecutor

IMAGE = "job-base:1"


@dataclass
class RealEngine:
    """`kill` ends the daemon as a power cut would; containers go on. `start` finds them again."""

    root: Path
    run: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.run}/engine.sock"

    def start(self) -> None:
        arguments = ["--data-root", self.root, "--exec-root", self.run, "-H", self.host]
        with (self.root.parent / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "riad.cli.main", "engine", *map(str, arguments)], stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def ready(self) -> None:
        async with asyncio.timeout(60), DockerClient(self.host) as docker:
            while True:
                try:
                    return await docker.ping()
                except Fault:
                    await asyncio.sleep(0.05)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEngine]:
    folder = tmp_path_factory.mktemp("pipelines-engine")
    run = Path(tempfile.mkdtemp(prefix="riad-pl-"))  # socket paths are short
    made = RealEngine(folder / "data", run)
    made.root.mkdir()
    made.start()

    async def load() -> None:
        await made.ready()
        async with DockerClient(made.host) as docker:
            await docker.images.import_(engine_rootfs.make_tar(folder), "job-base", "1")
            await docker.images.import_(
                engine_rootfs.make_tar(folder / "user"), "job-user", "1", ["USER app", "WORKDIR /tmp"]
            )

    asyncio.run(load())
    yield made
    asyncio.run(_empty(made.host))
    made.close()
    shutil.rmtree(run, ignore_errors=True)


async def _empty(host: str) -> None:
    async with DockerClient(host) as docker:
        for container in await docker.containers.list(stopped=True):
            await docker.containers.remove(container["Id"], force=True)


@pytest.fixture
async def room(engine: RealEngine, tmp_path: Path) -> AsyncIterator[Room]:
    await engine.ready()
    async with DockerClient(engine.host) as docker:
        made = make_room(tmp_path, DockerExecutor(docker), image=IMAGE)
        yield made
        made.close()
