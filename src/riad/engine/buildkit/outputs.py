"""What becomes of a result: an image here, pushed or not; an archive, a tar or a folder sent to the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from riad.engine.build.progress import NO_STAGE, WorkAdvanced, WorkFinished, WorkStarted
from riad.engine.build.rootfs import read_only
from riad.engine.build.solve import Builder, Solved
from riad.engine.buildkit.filesend import send_folder
from riad.engine.buildkit.frontend import truth
from riad.engine.buildkit.jobs import Job
from riad.engine.buildkit.messages.control import BytesMessage, Exporter
from riad.engine.buildkit.protobuf import encode
from riad.engine.buildkit.session import Sessions
from riad.engine.images.pack import pack
from riad.engine.images.push import Pusher
from riad.engine.images.save import save_unnamed
from riad.kernel.faults import Fault, invalid, unsupported
from riad.oci.digest import digest_of
from riad.oci.reference import Reference, parse_reference

EXPORTER = "buildkit-attachable-exporter-id"
"""The header that says which of a client's outputs something is for."""
_SETTINGS = frozenset(
    {"name", "push", "load", "unpack", "store", "context", "dest", "tar", "buildinfo-attrs", "registry.insecure"}
)
_NO = ("", "false", "0")
_CHOICES = {
    "compression": ("", "gzip", "uncompressed"),
    "force-compression": _NO,
    "oci-mediatypes": (*_NO, "true", "1"),
    "push-by-digest": _NO,
    "rewrite-timestamp": _NO,
    "name-canonical": _NO,
    "prefer-image-digest": _NO,
    "platform-split": (*_NO, "true"),
}
"""What may be said of an output without asking for something else than what is made anyway."""
_PIECE, _MESSAGE = 1 << 20, 1 << 15


@dataclass(frozen=True, slots=True)
class Outputs:
    builder: Builder
    sessions: Sessions
    pusher: Pusher

    async def export(self, job: Job, solved: Solved, exporter: Exporter, number: int) -> dict[str, str]:
        """What the client is told of it. Raises UNSUPPORTED for an exporter or a setting of one that is not here."""
        _check(exporter)
        if exporter.type in ("moby", "image"):
            return await self._image(job, solved, exporter.attrs)
        if exporter.type in ("docker", "oci"):
            return await self._archive(job, solved, exporter, number)
        if exporter.type in ("local", "tar"):
            return await self._files(job, solved, exporter, number)
        raise unsupported(f"output type={exporter.type} is not supported by this engine")

    async def _archive(self, job: Job, solved: Solved, exporter: Exporter, number: int) -> dict[str, str]:
        """An image archive that is an OCI layout and one for `docker load` at once."""
        if exporter.attrs.get("tar", "true") in ("false", "0"):
            raise unsupported(f"output type={exporter.type},tar=false is not supported: export a tar and unpack it")
        names = _names(exporter.attrs)
        image = solved.state.image
        kind = "docker image format" if exporter.type == "docker" else "oci image format"
        async with _work(job, f"exporting to {kind}") as work:
            pieces = save_unnamed(self.builder.parts.images, image, names)
            await self._send(job, pieces, number)
            await job.reporter.tell(NO_STAGE, WorkAdvanced(work, "sending tarball", done=True))
        return _described(digest_of(image.encode()), names)

    async def _files(self, job: Job, solved: Solved, exporter: Exporter, number: int) -> dict[str, str]:
        """The result's file system, as files in a folder of the client or as one tar."""
        layers = self.builder.parts.images.layers
        lowers = [layers.get(diff_id).path for diff_id in solved.state.layers]
        title = "exporting to client directory" if exporter.type == "local" else "exporting to client tarball"
        async with _work(job, title) as work, read_only(solved.folder / f"output{number}", lowers) as root:
            if exporter.type == "local":
                await self._send_files(job, root, number)
            else:
                await self._send(job, pack(root), number)
            await job.reporter.tell(NO_STAGE, WorkAdvanced(work, "copying files", done=True))
        return {}

    async def _send(self, job: Job, pieces: Iterator[bytes], number: int) -> None:
        session = await self.sessions.get(job.request.session)
        stream = await session.send_start({EXPORTER: str(number)})

        def some() -> list[bytes]:
            gathered = bytearray()
            for piece in pieces:
                gathered += piece
                if len(gathered) >= _PIECE:
                    break
            return [bytes(gathered[at : at + _MESSAGE]) for at in range(0, len(gathered), _MESSAGE)]

        while parts := await asyncio.to_thread(some):
            await stream.send(*(encode(BytesMessage(part)) for part in parts))
        await session.send_end(stream)

    async def _send_files(self, job: Job, root: Path, number: int) -> None:
        session = await self.sessions.get(job.request.session)
        stream = await session.send_start({EXPORTER: str(number)})
        await send_folder(stream, root)
        await session.send_end(stream)

    async def _image(self, job: Job, solved: Solved, attrs: Mapping[str, str]) -> dict[str, str]:
        tell = job.reporter.tell
        async with _work(job, "exporting to image") as work:
            names = _names(attrs)
            await tell(NO_STAGE, WorkAdvanced(work, "exporting layers", done=True))
            image = self.builder.make_image(solved, names)
            await tell(NO_STAGE, WorkAdvanced(work, f"writing image {image.id}", done=True))
            for name in names:
                await tell(NO_STAGE, WorkAdvanced(work, f"naming to {name}", done=True))
        found = _described(image.id, names)
        if truth(attrs.get("push", "")):
            found |= await self._pushed(job, names)
        return found

    async def _pushed(self, job: Job, names: tuple[Reference, ...]) -> dict[str, str]:
        if not names:
            raise invalid("tag is needed when pushing to registry")
        session = await self.sessions.get(job.request.session)
        digest = ""
        for name in names:
            async with _work(job, f"pushing {name}") as work:
                done = await self.pusher.push(name, await session.credentials(name.domain))
                await job.reporter.tell(NO_STAGE, WorkAdvanced(work, f"digest {done.digest}", done=True))
            digest = str(done.digest)
        return {"containerimage.digest": digest}


@asynccontextmanager
async def _work(job: Job, name: str) -> AsyncIterator[str]:
    """A line of progress for the time of some work."""
    tell = job.reporter.tell
    await tell(NO_STAGE, WorkStarted(name))
    try:
        yield name
    except Fault as fault:
        await tell(NO_STAGE, WorkFinished(name, error=fault.message))
        raise
    await tell(NO_STAGE, WorkFinished(name))


def _check(exporter: Exporter) -> None:
    for name, value in exporter.attrs.items():
        if name not in _SETTINGS and not (name in _CHOICES and value in _CHOICES[name]):
            raise unsupported(f"output type={exporter.type}: {name}={value} is not supported by this engine")


def _names(attrs: Mapping[str, str]) -> tuple[Reference, ...]:
    found = []
    for text in attrs.get("name", "").split(","):
        if text:
            reference = parse_reference(text)
            if reference.digest is not None:
                raise invalid(f"{text}: a build cannot be named by a digest")
            found.append(reference.with_default_tag())
    return tuple(dict.fromkeys(found))


def _described(image: str, names: tuple[Reference, ...]) -> dict[str, str]:
    found = {"containerimage.digest": image, "containerimage.config.digest": image}
    if names:
        found["image.name"] = ",".join(map(str, names))
    return found
