"""What becomes of a result: an image here, pushed or not; an archive, a tar or a folder sent to the client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riad.engine.build.progress import NO_STAGE, WorkAdvanced, WorkFinished, WorkStarted
from riad.engine.build.solve import Builder, Solved
from riad.engine.buildkit.frontend import truth
from riad.engine.buildkit.jobs import Job
from riad.engine.buildkit.messages.control import Exporter
from riad.engine.buildkit.session import Sessions
from riad.engine.images.push import Pusher
from riad.kernel.faults import Fault, invalid, unsupported
from riad.oci.reference import Reference, parse_reference


@dataclass(frozen=True, slots=True)
class Outputs:
    builder: Builder
    sessions: Sessions
    pusher: Pusher

    async def export(self, job: Job, solved: Solved, exporter: Exporter, number: int) -> dict[str, str]:
        """What the client is told of it. Raises UNSUPPORTED for an exporter that is not here."""
        if exporter.type in ("moby", "image"):
            return await self._image(job, solved, exporter.attrs)
        raise unsupported(f"output type={exporter.type} is not supported by this engine")

    async def _image(self, job: Job, solved: Solved, attrs: Mapping[str, str]) -> dict[str, str]:
        work = "exporting to image"
        tell = job.reporter.tell
        await tell(NO_STAGE, WorkStarted(work))
        try:
            names = _names(attrs)
            await tell(NO_STAGE, WorkAdvanced(work, "exporting layers", done=True))
            image = self.builder.make_image(solved, names)
            await tell(NO_STAGE, WorkAdvanced(work, f"writing image {image.id}", done=True))
            for name in names:
                await tell(NO_STAGE, WorkAdvanced(work, f"naming to {name}", done=True))
        except Fault as fault:
            await tell(NO_STAGE, WorkFinished(work, error=fault.message))
            raise
        await tell(NO_STAGE, WorkFinished(work))
        found = _described(image.id, names)
        if truth(attrs.get("push", "")):
            found |= await self._pushed(job, names)
        return found

    async def _pushed(self, job: Job, names: tuple[Reference, ...]) -> dict[str, str]:
        if not names:
            raise invalid("tag is needed when pushing to registry")
        session = await self.sessions.get(job.request.session)
        tell = job.reporter.tell
        digest = ""
        for name in names:
            work = f"pushing {name}"
            await tell(NO_STAGE, WorkStarted(work))
            try:
                done = await self.pusher.push(name, await session.credentials(name.domain))
            except Fault as fault:
                await tell(NO_STAGE, WorkFinished(work, error=fault.message))
                raise
            await tell(NO_STAGE, WorkAdvanced(work, f"digest {done.digest}", done=True))
            await tell(NO_STAGE, WorkFinished(work))
            digest = str(done.digest)
        return {"containerimage.digest": digest}


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
