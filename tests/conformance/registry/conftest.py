"""Debian's docker-registry on a free port, an engine's image API on a socket, and the stock docker CLI against both."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from ports import free_port
from riad.engine.dockerapi import auth, distribution, image_transfer, images
from riad.engine.dockerapi.app import build_app
from riad.engine.images.local import Images
from riad.engine.images.pull import Puller
from riad.engine.images.push import Pusher
from riad.engine.images.registry.places import RegistryOptions
from riad.engine.state import State
from riad.kernel.process import Finished, run

_CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}
"""


@dataclass(frozen=True, slots=True)
class RunningRegistry:
    host: str
    root: Path

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.host}{path}", timeout=10) as answer:
            return bytes(answer.read())


@contextlib.contextmanager
def running_registry(folder: Path, *, auth: str = "") -> Iterator[RunningRegistry]:
    port = free_port()
    config = folder / "config.yml"
    config.write_text(_CONFIG.format(root=folder / "store", port=port, auth=auth))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait_for_port(port)
        yield RunningRegistry(f"localhost:{port}", folder / "store")
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_port(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        threading_wait(0.05)
    raise AssertionError("docker-registry did not start")


def threading_wait(seconds: float) -> None:
    import threading

    threading.Event().wait(seconds)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@dataclass(frozen=True, slots=True)
class ImageEngine:
    """The image half of an engine, and the docker CLI pointed at it."""

    images: Images
    socket: Path
    home: Path

    async def docker(self, *arguments: str, check: bool = True, stdin: bytes | None = None) -> Finished:
        environ = {**os.environ, "DOCKER_CONFIG": str(self.home), "HOME": str(self.home)}
        environ.pop("DOCKER_HOST", None)
        command = ["docker", "-H", f"unix://{self.socket}", *arguments]
        return await run(command, timeout=60, environ=environ, check=check, stdin=stdin)

    async def lines(self, *arguments: str) -> list[str]:
        return (await self.docker(*arguments)).stdout.decode().splitlines()

    async def inspect(self, name: str) -> dict[str, object]:
        found: list[dict[str, object]] = json.loads((await self.docker("image", "inspect", name)).stdout)
        return found[0]


@contextlib.asynccontextmanager
async def running_engine(folder: Path, options: RegistryOptions | None = None) -> AsyncIterator[ImageEngine]:
    root = folder / f"engine-{secrets.token_hex(3)}"
    state = State(root)
    images_ = Images(state, root)
    options = options or RegistryOptions()
    found = [
        *images.routes(images=images_),
        *image_transfer.routes(
            images=images_,
            puller=Puller(images_, options, suggest=lambda name: f"try something else than {name.familiar}"),
            pusher=Pusher(images_, options),
        ),
        *auth.routes(options=options),
        *distribution.routes(options=options),
        web.get("/_ping", _ping),
        web.head("/_ping", _ping),
        web.get("/info", _info),
    ]
    runner = web.AppRunner(build_app(found))
    await runner.setup()
    path = root / "s"
    await web.UnixSite(runner, str(path)).start()
    home = root / "home"
    home.mkdir()
    try:
        yield ImageEngine(images_, path, home)
    finally:
        await runner.cleanup()
        state.close()


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text="OK")


async def _info(_: web.Request) -> web.Response:
    return web.json_response({"OSType": "linux", "Architecture": "x86_64", "RegistryConfig": None})


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[ImageEngine]:
    async with running_engine(tmp_path) as found:
        yield found


async def skopeo(*arguments: str) -> Finished:
    return await run(["skopeo", *arguments], timeout=60)
