"""The parts of BuildKit's protocol, put together over a builder."""

from __future__ import annotations

from riad.engine.build.cache import Cache
from riad.engine.build.received import Folders
from riad.engine.build.solve import Builder
from riad.engine.buildkit.builds import Builds
from riad.engine.buildkit.caching import Caching
from riad.engine.buildkit.control import Control
from riad.engine.buildkit.gateway import Gateway
from riad.engine.buildkit.grpc import serving
from riad.engine.buildkit.http2 import Connection, Wire
from riad.engine.buildkit.jobs import Jobs
from riad.engine.buildkit.messages.common import BuildkitVersion, Platform, Worker
from riad.engine.buildkit.outputs import Outputs
from riad.engine.buildkit.session import Sessions
from riad.engine.images.pull import Puller
from riad.engine.images.push import Pusher
from riad.kernel.clock import Clock
from riad.oci.platform import host_platform

_LABEL = "org.mobyproject.buildkit.worker"
_VERSION = BuildkitVersion("github.com/moby/buildkit", "v0.13.2", "riad")
"""The BuildKit whose calls are answered here; clients choose what they ask by it."""


class BuildKit:
    """One for each engine. `serve` carries a /grpc connection, `sessions.serve` a /session one."""

    def __init__(
        self, builder: Builder, cache: Cache, puller: Puller, pusher: Pusher, *, clock: Clock, name: str
    ) -> None:
        self.sessions = Sessions()
        self.folders = Folders(builder.parts.root / "contexts")
        jobs = Jobs(clock)
        caching = Caching(builder.parts.images, cache, puller, pusher)
        builds = Builds(builder, self.sessions, self.folders, caching)
        worker = _worker(name)
        outputs = Outputs(builder, self.sessions, pusher)
        control = Control(jobs, builds, outputs, builder, cache, clock, worker, _VERSION)
        self._serve = serving({**control.service(), **Gateway(jobs, builds, worker).service()})

    def recover(self) -> None:
        """Before the first connection."""
        self.folders.recover()

    async def serve(self, wire: Wire) -> None:
        await Connection(wire, self._serve).run()


def _worker(name: str) -> Worker:
    """The label of the snapshotter says that archives can be exported, not images only."""
    host = host_platform()
    platform = Platform(host.architecture, host.os, host.variant or "")
    labels = {f"{_LABEL}.executor": "oci", f"{_LABEL}.hostname": name, f"{_LABEL}.snapshotter": "overlayfs"}
    return Worker(name, labels, (platform,), _VERSION)
