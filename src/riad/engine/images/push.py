"""`docker push`: an image's layers, configuration and manifest to the registry that its name says, as little as needed.

A layer that was pulled goes out in the very bytes it came in; one of ours is compressed, always to the same bytes, and
its digest remembered, so that the next push only asks. What the registry has in another repository is mounted.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from riad.engine.images.compression import gzipped
from riad.engine.images.local import Images
from riad.engine.images.model import Image
from riad.engine.images.progress import LayerProgress, Report, nowhere
from riad.engine.images.registry.client import Registry
from riad.engine.images.registry.credentials import Credentials
from riad.engine.images.registry.errors import Refusal, Unreachable
from riad.engine.images.registry.places import RegistryOptions, own_place
from riad.engine.images.registry.retry import pause, worth_another_try
from riad.engine.images.store import BlobRow, ManifestRow
from riad.kernel.faults import Fault, Kind, not_found
from riad.oci import media
from riad.oci.descriptor import Descriptor
from riad.oci.digest import Digest, digest_of, from_hash
from riad.oci.manifest import Manifest, parse_manifest
from riad.oci.reference import Reference

_UPLOADS = 4
_ATTEMPTS = 5
_PIECE = 1 << 20
_SENDABLE = frozenset(
    {media.OCI_LAYER_GZIP, media.OCI_LAYER_ZSTD, media.DOCKER_LAYER_GZIP, media.DOCKER_FOREIGN_LAYER_GZIP}
)


@dataclass(frozen=True, slots=True)
class Pushed:
    """`size` is the manifest's, in bytes."""

    tag: str
    digest: Digest
    size: int


class Pusher:
    def __init__(self, images: Images, options: RegistryOptions) -> None:
        self._images = images
        self._options = options

    async def push(self, reference: Reference, credentials: Credentials, *, report: Report = nowhere) -> Pushed:
        """Sends one tag. Raises NOT_FOUND where it is not here, DENIED, UNAUTHENTICATED, UNAVAILABLE."""
        image_id = self._images.store.tagged(reference)
        if image_id is None:
            raise not_found(f"An image does not exist locally with the tag: {reference.familiar_repository}")
        image = self._images.by_id(image_id)
        for diff_id in image.layers:
            self._images.layers.pin(diff_id)  # whatever becomes of the image meanwhile
        try:
            async with Registry(own_place(reference, self._options), credentials, actions="pull,push") as registry:
                pushed = await self._push_to(registry, image, reference, report)
        except Refusal as error:
            raise error.fault() from None
        except Unreachable as error:
            raise Fault(Kind.UNAVAILABLE, f"cannot reach the registry of {reference.familiar}: {error}") from None
        finally:
            for diff_id in image.layers:
                self._images.layers.unpin(diff_id)
        self._images.announce("push", reference.familiar, {"name": reference.familiar_repository})
        return pushed

    def tags(self, reference: Reference) -> list[Reference]:
        """What a push without a tag sends: all tags of the repository. Raises NOT_FOUND where there is none."""
        found = self._images.store.tags_in(reference.repository)
        if not found:
            raise not_found(f"An image does not exist locally with the tag: {reference.familiar_repository}")
        return found

    async def _push_to(self, registry: Registry, image: Image, reference: Reference, report: Report) -> Pushed:
        uploads, body = asyncio.Semaphore(_UPLOADS), self._images.config_bytes(image.id)
        try:
            async with asyncio.TaskGroup() as group:
                jobs = {
                    diff_id: group.create_task(self._layer(registry, reference, diff_id, uploads, report))
                    for diff_id in dict.fromkeys(image.layers)
                }
                config = group.create_task(self._config(registry, image, body))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        forms = [jobs[diff_id].result() for diff_id in image.layers]
        row = self._manifest(image, config.result(), forms)
        tag = reference.tag or "latest"
        await registry.put_manifest(tag, row.body, row.media_type)
        if self._images.store.image(image.id) is not None:  # it may have been removed meanwhile
            with self._images.store.transaction():
                self._images.store.set_digest(reference.repository, row.digest, image.id)
                self._images.store.add_manifest(row, image.id)
        await report({"status": f"{tag}: digest: {row.digest} size: {len(row.body)}"})
        return Pushed(tag, row.digest, len(row.body))

    async def _layer(
        self, registry: Registry, reference: Reference, diff_id: Digest, uploads: asyncio.Semaphore, report: Report
    ) -> BlobRow:
        store = self._images.store
        progress = LayerProgress(report, diff_id.short)
        await progress.say("Preparing")
        async with uploads:
            for form in self._sendable_forms(diff_id):
                if await registry.has_blob(form.digest):
                    await progress.say("Layer already exists")
                    store.add_place(form.digest, reference.repository)
                    return form
            async with self._sent_form(diff_id) as (form, file):
                done = await self._send(
                    registry, reference, form, file, LayerProgress(report, diff_id.short, total=form.size)
                )
                await progress.say(done)
        store.add_place(form.digest, reference.repository)
        return form

    async def _config(self, registry: Registry, image: Image, body: bytes) -> Descriptor:
        if not await registry.has_blob(image.id):
            url = await registry.begin_upload()
            if url is not None:
                await registry.finish_upload(url, image.id, lambda: body, size=len(body))
        return Descriptor(media.DOCKER_CONFIG, image.id, len(body))

    async def _send(
        self, registry: Registry, reference: Reference, form: BlobRow, file: Path, progress: LayerProgress
    ) -> str:
        """Mounts or uploads; returns what to say about it."""
        source = self._mountable(reference, form.digest)
        if source is not None:
            registry.also_read(source)
        attempt = 0
        while True:
            try:
                url = await registry.begin_upload(mount=form.digest if source else None, source=source or "")
                if url is None:
                    return f"Mounted from {source}"
                await registry.finish_upload(url, form.digest, lambda: _body(file, progress), size=form.size)
                return "Pushed"
            except (Refusal, Unreachable) as error:
                attempt += 1
                if attempt >= _ATTEMPTS or not worth_another_try(error):
                    raise
                source = None
            await progress.say(f"Retrying in {max(1, round(pause(attempt)))} second")
            await asyncio.sleep(pause(attempt))

    def _mountable(self, reference: Reference, digest: Digest) -> str | None:
        """Another repository of the registry that should have the blob."""
        for place in self._images.store.places(digest):
            domain, _, path = place.partition("/")
            if domain == reference.domain and path != reference.path:
                return path
        return None

    def _sendable_forms(self, diff_id: Digest) -> list[BlobRow]:
        return [form for form in self._images.store.blobs_of(diff_id) if form.media_type in _SENDABLE]

    @asynccontextmanager
    async def _sent_form(self, diff_id: Digest) -> AsyncIterator[tuple[BlobRow, Path]]:
        """A compressed form of the layer with its file: what was kept, or made now and removed afterwards."""
        for form in self._sendable_forms(diff_id):
            kept = self._images.layers.blobs.find(form.digest)
            if kept is not None:
                yield form, kept
                return
        handle, name = tempfile.mkstemp(prefix="push-", dir=self._images.layers.incoming)
        file = Path(name)
        try:
            pieces = self._images.layers.tar(diff_id)
            digest, size = await asyncio.to_thread(_compress, pieces, handle)
            form = BlobRow(diff_id, digest, media.DOCKER_LAYER_GZIP, size)
            self._images.store.add_blob(form)
            yield form, file
        finally:
            file.unlink(missing_ok=True)

    def _manifest(self, image: Image, config: Descriptor, forms: list[BlobRow]) -> ManifestRow:
        """The manifest the image came with where it still says the truth, else a new one."""
        digests = [form.digest for form in forms]
        for row in self._images.store.manifests(image.id):
            known = parse_manifest(row.body, row.media_type)
            if isinstance(known, Manifest) and [layer.digest for layer in known.layers] == digests:
                return row
        made = new_manifest(config, forms)
        body = made.encode()
        return ManifestRow(digest_of(body), made.media_type, body)


def new_manifest(config: Descriptor, forms: Iterable[BlobRow]) -> Manifest:
    """Docker's schema 2, which every client reads, unless a layer is compressed in a way that only OCI knows."""
    forms = tuple(forms)
    oci = any(form.media_type == media.OCI_LAYER_ZSTD for form in forms)
    gzip = media.OCI_LAYER_GZIP if oci else media.DOCKER_LAYER_GZIP
    layers = tuple(
        Descriptor(form.media_type if form.media_type == media.OCI_LAYER_ZSTD else gzip, form.digest, form.size)
        for form in forms
    )
    config_type = media.OCI_CONFIG if oci else media.DOCKER_CONFIG
    described = Descriptor(config_type, config.digest, config.size)
    return Manifest(media.OCI_MANIFEST if oci else media.DOCKER_MANIFEST, described, layers)


def _compress(pieces: Iterator[bytes], handle: int) -> tuple[Digest, int]:
    state, size = hashlib.sha256(), 0
    with open(handle, "wb", buffering=0) as file:
        for piece in gzipped(pieces):
            state.update(piece)
            size += len(piece)
            file.write(piece)
    return from_hash(state), size


async def _body(file: Path, progress: LayerProgress) -> AsyncIterator[bytes]:
    sent = 0
    with file.open("rb", buffering=0) as source:
        while piece := await asyncio.to_thread(source.read, _PIECE):
            yield piece
            sent += len(piece)
            await progress.moved("Pushing", sent)
