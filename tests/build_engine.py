"""An engine with images, networks and builds only, on its own roots and socket, for tests of the builder."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

import engine_rootfs
from riad.engine.build.bases import Bases
from riad.engine.build.cache import Cache
from riad.engine.build.run import Commands, RuntimeCommands
from riad.engine.build.solve import Builder, Parts
from riad.engine.buildkit.daemon import BuildKit
from riad.engine.containers import spec
from riad.engine.containers.capabilities import bounding_set, effective
from riad.engine.dockerapi import build as build_routes
from riad.engine.dockerapi import buildkit as buildkit_routes
from riad.engine.dockerapi import images as image_routes
from riad.engine.dockerapi.app import build_app
from riad.engine.host import cgroups, facts, runc
from riad.engine.images.importing import import_image
from riad.engine.images.local import Images
from riad.engine.images.pull import Puller
from riad.engine.images.push import Pusher
from riad.engine.images.registry.places import RegistryOptions
from riad.engine.networks.networks import Networks, NetworkSettings
from riad.engine.state import State
from riad.kernel.clock import SystemClock
from riad.oci.platform import host_platform
from riad.oci.reference import parse_reference

BASE = "base:1"


@dataclass(frozen=True, slots=True)
class BuildEngine:
    images: Images
    cache: Cache
    builder: Builder
    networks: Networks
    commands: Commands
    data: Path
    socket: Path


@asynccontextmanager
async def build_engine(
    root: Path, *, wrap: Callable[[Commands], Commands] = lambda commands: commands
) -> AsyncIterator[BuildEngine]:
    """`wrap` may stand before the real commands.

    State, images and cache live in `root`/data and are found again by the next engine on it.
    """
    instance = hashlib.sha256(bytes(root)).hexdigest()[:8]
    data, run = root / "data", Path(tempfile.gettempdir()) / f"riad-build-{instance}"  # a socket's path is short
    run.mkdir(exist_ok=True)
    state, clock = State(data), SystemClock()
    images = Images(state, data)
    settings = NetworkSettings(instance, run)
    networks = Networks(state, settings, clock=clock)
    await networks.recover([])
    commands = wrap(
        RuntimeCommands(
            runc.detect(run / "runc"),
            networks,
            host=spec.Host(
                arch=facts.architecture(),
                kernel=facts.kernel(),
                cgroup_v2=cgroups.layout() is cgroups.Layout.V2,
                hard_limits=facts.hard_limits(),
                oom_score_adj=facts.oom_score_adj(),
            ),
            capabilities=effective(bounding=bounding_set()),
            cgroup=f"/riad-build-{instance}",
        )
    )
    cache = Cache(state, images.layers, clock=clock)
    puller = Puller(images, RegistryOptions())
    bases = Bases(images, puller, host=host_platform())
    builder = Builder(Parts(images, bases, cache, commands, data / "build", clock))
    await builder.recover()
    pusher = Pusher(images, RegistryOptions())
    buildkit = BuildKit(builder, cache, puller, pusher, clock=clock, name="test")
    buildkit.recover()
    engine = BuildEngine(images, cache, builder, networks, commands, data, run / "engine.sock")
    app = build_app(
        [
            *build_routes.routes(builder=builder),
            *buildkit_routes.routes(buildkit=buildkit),
            *(web.route(route.method, route.path, route.handler) for route in image_routes.routes(images=images)),
            web.route("GET", "/_ping", _pong),
            web.route("HEAD", "/_ping", _pong),
            web.route("GET", "/version", _version),
        ]
    )
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    engine.socket.unlink(missing_ok=True)
    await web.UnixSite(runner, str(engine.socket)).start()
    try:
        yield engine
    finally:
        await runner.cleanup()
        await networks.teardown()
        await networks.close()
        state.close()
        cgroups.remove(f"/riad-build-{instance}")
        shutil.rmtree(run, ignore_errors=True)


async def import_base(engine: BuildEngine, folder: Path) -> None:
    """A shell and core utilities as the image `base:1`."""
    if engine.images.find(BASE) is None:
        archive = await asyncio.to_thread(engine_rootfs.make_tar, folder)
        await import_image(engine.images, io.BytesIO(archive), reference=parse_reference(BASE))


async def _pong(_: web.Request) -> web.Response:
    return web.Response(text="OK")


async def _version(_: web.Request) -> web.Response:
    return web.json_response({"ApiVersion": "1.47", "Version": "27.5.1", "Os": "linux", "Arch": "amd64"})


async def _serve(root: Path) -> None:
    async with build_engine(root) as engine:
        await import_base(engine, root / "base")
        print(engine.socket, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Path(sys.argv[1])))
