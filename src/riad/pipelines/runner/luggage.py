"""What goes into a job's box beside its image: gathered and told first, packed once the image's user is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from riad.kernel.blobs import BlobStore
from riad.kernel.faults import Fault, Kind, unsupported
from riad.pipelines.runner import caches
from riad.pipelines.runner.assignment import Assignment, Surroundings
from riad.pipelines.runner.executor import Owner
from riad.pipelines.runner.files import Contents, pack
from riad.pipelines.runner.parts import Parts
from riad.pipelines.runner.script_text import main_script

DEFAULT_DEPTH = 20
ENGINE_SOCKET = "/var/run/docker.sock"
SOCKET_FOLDER = "/run/riad"
"""Where the folder of the job's own engine socket is mounted; ENGINE_SOCKET is a link into it."""


@dataclass(slots=True)
class Luggage:
    parts: Parts
    job: Assignment
    around: Surroundings
    archives: Sequence[str]
    depth: int | None
    checkout: bool = True
    with_engine: bool = False
    _open: list[BinaryIO] = field(default_factory=list)

    def pack(self, owner: Owner) -> BinaryIO:
        """The tar; may be made again where the engine went away. Blocking."""
        job = self.job
        contents = Contents(
            folder=job.folder,
            checkout=self._checkout() if self.checkout else None,
            archives=[found for key in self.archives if (found := _opened(self.parts.blobs, key)) is not None],
            script=main_script(job.plan.script, folder=job.folder),
            secrets=self.around.files,
            tools=self.parts.tools,
            links={ENGINE_SOCKET: f"{SOCKET_FOLDER}/docker.sock"} if self.with_engine else {},
        )
        packed = pack(contents, owner, now=self.parts.clock.now().timestamp())
        self._open.append(packed)
        return packed

    def _checkout(self) -> BinaryIO:
        server = self.parts.server
        return self.parts.source.checkout_tar(
            self.job.project.id,
            self.job.pipeline.sha,
            self.job.pipeline.ref,
            depth=self.depth,
            remote_url=f"{server.riad_url or server.url}/{self.job.project.path}.git",
        )

    def close(self) -> None:
        for file in self._open:
            file.close()


def _opened(blobs: BlobStore, key: str) -> BinaryIO | None:
    try:
        return blobs.open(key)
    except Fault as fault:
        if fault.kind is not Kind.NOT_FOUND:
            raise
        return None  # expired since the job was put together


def luggage(
    parts: Parts, job: Assignment, around: Surroundings, say: Callable[[str], None], *, with_engine: bool = False
) -> Luggage:
    """Raises UNSUPPORTED for a way of getting sources that Riad has not. Blocking."""
    strategy = around.values.get("GIT_STRATEGY", "fetch")
    if strategy not in ("clone", "fetch", "none", "empty"):
        raise unsupported(f"GIT_STRATEGY `{strategy}` is not one of clone, fetch, none, empty")
    if around.values.get("GIT_SUBMODULE_STRATEGY", "none") != "none":
        raise unsupported("riad does not support GIT_SUBMODULE_STRATEGY yet; fetch submodules in the script")
    wanted = strategy in ("clone", "fetch")
    if wanted:
        say(f"Checking out {job.pipeline.sha[:8]} as detached HEAD (ref is {job.pipeline.ref})...")
    else:
        say("Skipping the checkout, as GIT_STRATEGY says")
    archives = caches.restored(parts, job, around, say)
    for restore in job.restores:
        say(f"Downloading artifacts for {restore.job} ({restore.job_id})...")
        archives.append(restore.key)
    return Luggage(parts, job, around, archives, depth=_depth(around), checkout=wanted, with_engine=with_engine)


def _depth(around: Surroundings) -> int | None:
    text = around.values.get("GIT_DEPTH", str(DEFAULT_DEPTH))
    depth = int(text) if text.isdigit() else DEFAULT_DEPTH
    return depth or None
