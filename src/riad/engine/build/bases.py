"""Base images: looked for here first, pulled where they are missing or newer ones are asked for."""

from __future__ import annotations

from typing import Any, Protocol

from riad.engine.build.clients import Client
from riad.engine.build.options import BuildOptions
from riad.engine.build.progress import Progress, PullProgress
from riad.engine.images.model import Image
from riad.engine.images.progress import Report
from riad.engine.images.registry.credentials import Credentials
from riad.kernel.faults import Fault, unsupported
from riad.oci.platform import Platform, parse_platform
from riad.oci.reference import Reference, parse_reference


class ImageSource(Protocol):
    def find(self, name: str) -> Image | None:
        """The image of that name or id in this engine."""


class Pull(Protocol):
    async def pull(
        self, reference: Reference, credentials: Credentials, *, platform: Platform | None = None, report: Report
    ) -> Image:
        """Pulls from mirrors or registry. Raises NOT_FOUND and others in Docker's words."""


class Bases:
    def __init__(self, images: ImageSource, pull: Pull | None, *, host: Platform) -> None:
        self._images = images
        self._pull = pull
        self._host = host

    @property
    def platform(self) -> str:
        return str(self._host)

    async def resolve(self, name: str, options: BuildOptions, client: Client, progress: Progress) -> Image:
        """Raises INVALID for what is no reference, NOT_FOUND for an image that is nowhere, UNSUPPORTED platforms."""
        local = self._images.find(name)
        if local is not None and not options.pull:
            return self._fitting(name, local)
        if self._pull is None:
            parse_reference(name)
            raise unsupported(f"{name} is not here, and this engine has no registries to pull from")

        async def report(line: dict[str, Any]) -> None:
            await progress(PullProgress(line))

        reference = parse_reference(name)
        try:
            login = await client.credentials(reference.domain)
            return self._fitting(name, await self._pull.pull(reference, login, report=report))
        except Fault as fault:
            message = fault.message if name in fault.message else f"{name}: {fault.message}"
            raise Fault(fault.kind, message) from None

    def check(self, platform: str | None) -> None:
        """Raises UNSUPPORTED for a platform that this host does not run."""
        if platform and not self._host.runs(parse_platform(platform)):
            raise unsupported(f"platform {platform} is not supported: this engine builds for {self._host} only")

    def _fitting(self, name: str, image: Image) -> Image:
        if not self._host.runs(image.config.platform):
            raise unsupported(f"{name} is for {image.config.platform}; this engine runs {self._host} only")
        return image
