"""`docker pull`: a name becomes an image, layer by layer, several at once, every digest and size verified.

What is here is not fetched again: an image pulled by digest needs no network, a layer that any image has costs nothing.
An interrupted pull leaves whole layers at most, which go with the next clean-up unless a repeated pull wants them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from riad.engine.images.download import download
from riad.engine.images.local import Images
from riad.engine.images.model import Image, Layer
from riad.engine.images.progress import LayerProgress, Report, nowhere
from riad.engine.images.registry.client import Registry
from riad.engine.images.registry.credentials import Credentials
from riad.engine.images.registry.errors import Refusal, Unreachable, pull_fault
from riad.engine.images.registry.places import RegistryOptions, own_place, pull_places
from riad.engine.images.shared import Shared
from riad.engine.images.store import BlobRow, ManifestRow
from riad.kernel.faults import Fault, Kind, invalid, not_found, unsupported
from riad.oci import media
from riad.oci.config import parse_image_config
from riad.oci.descriptor import Descriptor
from riad.oci.digest import Digest
from riad.oci.manifest import Index, Manifest, parse_manifest
from riad.oci.platform import Platform, host_platform
from riad.oci.reference import Reference

_LARGEST_CONFIG = 8 * 1024 * 1024
_DOWNLOADS = 4

Suggest = Callable[[Reference], str | None]
"""What to do where a name cannot be had from any registry: a sentence, or None."""

ANONYMOUS = Credentials()


def no_suggestion(reference: Reference) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class _Found:
    """The manifest of one image; `digest` is what the name stands for: an index's where it was one."""

    digest: Digest
    row: ManifestRow
    manifest: Manifest


class Puller:
    """Fetches images. One for the engine: pulls of one layer at the same time share its download."""

    def __init__(self, images: Images, options: RegistryOptions, *, suggest: Suggest = no_suggestion) -> None:
        self._images = images
        self._options = options
        self._suggest = suggest
        self._under_way = Shared()

    async def pull(
        self,
        reference: Reference,
        credentials: Credentials = ANONYMOUS,
        *,
        platform: Platform | None = None,
        report: Report = nowhere,
    ) -> Image:
        """Pulls one image. Raises, in Docker's words, NOT_FOUND, UNAUTHENTICATED, INVALID (what came is not what was
        announced) or UNAVAILABLE (nothing answered).
        """
        wanted = reference.with_default_tag()
        if wanted.digest is not None and platform is None and (here := self._images.find(str(wanted))):
            await _report_end(report, wanted, wanted.digest, fresh=False)
            return here
        failures: list[str] = []
        for place in pull_places(wanted, self._options):
            try:
                # Credentials are for the registry that the name says, never for a mirror.
                async with Registry(place, ANONYMOUS if place.is_mirror else credentials) as registry:
                    return await self._pull_from(registry, wanted, platform or host_platform(), report)
            except Unreachable as error:
                failures.append(str(error))
            except Refusal as error:
                if not place.is_mirror:
                    raise self._explained(pull_fault(error, wanted), wanted) from None
                failures.append(f"{place.host}: {error}")
        message = f"cannot reach a registry for {wanted.familiar}: {'; '.join(failures)}"
        raise self._explained(Fault(Kind.UNAVAILABLE, message), wanted)

    async def all_tags(self, reference: Reference, credentials: Credentials) -> list[str]:
        """The tags that the registry has of a repository. Raises as `pull`."""
        try:
            async with Registry(own_place(reference, self._options), credentials) as registry:
                return await registry.tags()
        except Refusal as error:
            raise pull_fault(error, reference) from None
        except Unreachable as error:
            raise Fault(Kind.UNAVAILABLE, str(error)) from None

    def _explained(self, fault: Fault, reference: Reference) -> Fault:
        advice = self._suggest(reference) if fault.kind in (Kind.UNAVAILABLE, Kind.NOT_FOUND) else None
        return Fault(fault.kind, f"{fault.message}. {advice}") if advice else fault

    async def _pull_from(self, registry: Registry, wanted: Reference, platform: Platform, report: Report) -> Image:
        found = await _find_manifest(registry, wanted, platform)
        await report({"status": f"Pulling from {_shown_path(wanted)}", "id": wanted.digest or wanted.tag})
        known = self._images.find(found.manifest.config.digest)
        image = known or await self._fetch(registry, found.manifest, report)
        self._record(image, wanted, found)
        await _report_end(report, wanted, found.digest, fresh=known is None)
        self._images.announce("pull", wanted.familiar, {"name": wanted.familiar_repository})
        return self._images.by_id(image.id)

    async def _fetch(self, registry: Registry, manifest: Manifest, report: Report) -> Image:
        _refuse_artifact(manifest)
        config = await registry.blob(manifest.config.digest, limit=_LARGEST_CONFIG)
        diff_ids = parse_image_config(config).diff_ids
        if len(diff_ids) != len(manifest.layers):
            raise invalid(f"the manifest has {len(manifest.layers)} layers, its image configuration {len(diff_ids)}")
        pairs = dict(zip(diff_ids, manifest.layers, strict=True))  # an empty layer may occur several times
        downloads = asyncio.Semaphore(_DOWNLOADS)
        jobs: list[asyncio.Task[Layer]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for diff_id, descriptor in pairs.items():
                    jobs.append(group.create_task(self._layer(registry, descriptor, diff_id, downloads, report)))
            return self._images.add(config)
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            self._unpin(jobs)

    def _unpin(self, jobs: Iterable[asyncio.Task[Layer]]) -> None:
        for job in jobs:
            if not job.cancelled() and job.exception() is None:
                self._images.layers.unpin(job.result().diff_id)

    async def _layer(
        self,
        registry: Registry,
        descriptor: Descriptor,
        diff_id: Digest,
        downloads: asyncio.Semaphore,
        report: Report,
    ) -> Layer:
        """The layer, pinned, from here or from the registry."""
        layers = self._images.layers
        name = descriptor.digest.short
        blob = BlobRow(diff_id, descriptor.digest, descriptor.media_type, descriptor.size)
        shared = False
        while (here := layers.find(diff_id)) is None:
            under_way = self._under_way.get(diff_id)
            if under_way is None:
                with self._under_way.sharing(diff_id, report) as everyone:
                    progress = LayerProgress(everyone, name, total=descriptor.size)
                    await progress.say("Pulling fs layer")
                    async with downloads:
                        return await download(registry, blob, layers, progress)
            # Another pull fetches it; if that one is given up, the next of those who wait goes on.
            shared = True
            await under_way.wait(report)
        layers.pin(diff_id)
        self._images.store.add_blob(blob)
        if not shared:
            await LayerProgress(report, name).say("Already exists")
        return here

    def _record(self, image: Image, wanted: Reference, found: _Found) -> None:
        store = self._images.store
        with store.transaction():
            if wanted.digest is None:
                store.set_tag(wanted, image.id, at=self._images.clock.now())
            store.set_digest(wanted.repository, found.digest, image.id)
            store.add_manifest(found.row, image.id)
            for layer in found.manifest.layers:
                store.add_place(layer.digest, wanted.repository)


async def _find_manifest(registry: Registry, wanted: Reference, platform: Platform) -> _Found:
    body, content_type, digest = await registry.manifest(wanted.digest or wanted.tag or "latest")
    parsed = parse_manifest(body, content_type)
    if isinstance(parsed, Manifest):
        return _Found(digest, ManifestRow(digest, parsed.media_type, body), parsed)
    chosen = parsed.choose(platform)
    if chosen is None:
        offered = ", ".join(sorted({str(entry.platform) for entry in parsed.manifests if entry.platform}))
        raise not_found(
            f"no matching manifest for {platform} in the manifest list entries of {wanted.familiar}: it has {offered}"
        )
    body, content_type, inner = await registry.manifest(chosen.digest)
    manifest = parse_manifest(body, content_type)
    if isinstance(manifest, Index):
        raise unsupported(f"{wanted.familiar} is an index of indexes: pull one of them by its digest")
    return _Found(digest, ManifestRow(inner, manifest.media_type, body), manifest)


def _refuse_artifact(manifest: Manifest) -> None:
    config = manifest.config.media_type
    if config not in media.IMAGE_CONFIGS:
        raise unsupported(f"this is not an image: its configuration is of type {config or 'unknown'}")
    for layer in manifest.layers:
        if ".tar" not in layer.media_type or layer.media_type.endswith("+encrypted"):
            raise unsupported(f"this image has a layer of the unsupported type {layer.media_type}")


def _shown_path(reference: Reference) -> str:
    # dockerd prints the path without its registry: "library/python", "group/app".
    return reference.path


async def _report_end(report: Report, wanted: Reference, digest: Digest, *, fresh: bool) -> None:
    await report({"status": f"Digest: {digest}"})
    news = "Downloaded newer image for" if fresh else "Image is up to date for"
    await report({"status": f"Status: {news} {wanted.familiar}"})
