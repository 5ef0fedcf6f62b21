"""The layer store: directories `layers/N`, one per diff ID, shared by all images, holders and running work.

A layer appears whole or not at all: it is made in `incoming/`, then its row and its rename are one step. `incoming/` is
emptied and directories without a row are removed at start, so an interrupted pull or build leaves nothing.

A layer stays while an image has it, somebody holds it (`hold`: a container, the build cache), or it is pinned: what
`adopt`, `import_tar` and `unpack` return is pinned until it becomes part of an image (`Images.create`) or is given up
(`unpin`).
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from riad.engine.images.blobs import LayerBlobs
from riad.engine.images.compression import decompress
from riad.engine.images.extract import extract
from riad.engine.images.model import Layer, Measure
from riad.engine.images.pack import pack, size_of
from riad.engine.images.store import BlobRow, ImageStore, LayerRow
from riad.kernel.faults import Fault, Kind, invalid, not_found
from riad.oci.digest import Digest, from_hash

P = ParamSpec("P")
T = TypeVar("T")


class Layers:
    def __init__(self, store: ImageStore, root: Path) -> None:
        self._store = store
        self._folder = root / "layers"
        self.incoming = root / "incoming"
        self._pins: Counter[Digest] = Counter()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._empty_incoming()
        self._sweep()
        self.blobs = LayerBlobs(root, store.blob_digests())

    def get(self, diff_id: str) -> Layer:
        """Raises NOT_FOUND."""
        row = self._store.layer(diff_id)
        if row is None:
            raise not_found(f"No such layer: {diff_id}")
        return self._layer(row)

    def find(self, diff_id: str) -> Layer | None:
        row = self._store.layer(diff_id)
        return None if row is None else self._layer(row)

    def of(self, image: str) -> list[Layer]:
        """The layers of an image, bottom first."""
        return [self._layer(row) for row in self._store.layers_of(image)]

    async def import_tar(self, archive: BinaryIO) -> Layer:
        """Makes a layer of ours from a tar, compressed or not, read once from its beginning. The result is pinned.

        Raises INVALID for a damaged or malicious archive; nothing remains then.
        """
        folder = self.scratch()
        try:
            await _to_its_end(_unpack, archive, folder)
            return await self.adopt(folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def unpack(self, blob: BlobRow, file: Path) -> Layer:
        """Makes a stranger's layer from the verified `file` and keeps the file. The result is pinned.

        Raises INVALID for a damaged or malicious archive, or one whose content is not `blob.diff_id`.
        """
        here = self.find(blob.diff_id)
        if here is not None:
            self.pin(blob.diff_id)
            return here
        folder = self.scratch()
        try:
            found = await _to_its_end(_unpack_file, file, folder)
            if found.diff_id != blob.diff_id:
                raise invalid(f"the layer's content is {found.diff_id}, its image says {blob.diff_id}")
            with self._store.transaction():
                layer = self._keep(folder, found, ours=False)
                self._store.add_blob(blob)
                self.blobs.take(blob.digest, file)
            return layer
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def adopt(self, upperdir: Path, parent: Layer | None = None) -> Layer:
        """Takes an unmounted overlay upper directory over as a layer: it is gone afterwards. The result is pinned.

        `upperdir` must be on the file system of the data root. `parent` is what it was mounted over; a layer's content
        does not depend on it.
        """
        layer = self._keep(upperdir, await _to_its_end(_measure, upperdir), ours=True)
        if upperdir.exists():
            await asyncio.to_thread(shutil.rmtree, upperdir, ignore_errors=True)
        return layer

    def tar(self, diff_id: Digest) -> Iterator[bytes]:
        """The exact bytes of the diff ID, in pieces; read them in a thread."""
        row = self._store.layer(diff_id)
        if row is None:
            raise not_found(f"No such layer: {diff_id}")
        if row.ours:
            return pack(self._folder / str(row.number))
        for blob in self._store.blobs_of(diff_id):
            file = self.blobs.find(blob.digest)
            if file is not None:
                return _decompressed(file)
        raise Fault(Kind.INTERNAL, f"the archive of layer {diff_id} is missing from the blob store")

    def scratch(self) -> Path:
        """A new folder in `incoming/`, on the file system of the layers, with the mode of a root directory."""
        folder = Path(tempfile.mkdtemp(prefix="layer-", dir=self.incoming))
        folder.chmod(0o755)
        return folder

    def pin(self, diff_id: Digest) -> None:
        self._pins[diff_id] += 1

    def unpin(self, diff_id: Digest) -> None:
        """Undoes one pin. A layer nobody wants then goes with the next `collect`, at the latest at start."""
        self._pins[diff_id] -= 1
        if self._pins[diff_id] <= 0:
            del self._pins[diff_id]

    def hold(self, owner: str, diff_ids: Iterable[str]) -> None:
        """Keeps layers for `owner` (`container:ID`, `build:KEY`), durably, whatever happens to their images."""
        self._store.hold(owner, diff_ids)

    def release(self, owner: str) -> None:
        """Ends all holds of `owner`; `collect` frees the space."""
        self._store.release(owner)

    def owners(self) -> list[str]:
        return self._store.owners()

    async def collect(self) -> int:
        """Removes every layer that nothing needs; returns the bytes freed."""
        doomed = [row for row in self._store.unused_layers() if row.diff_id not in self._pins]
        graves = [self._bury(row) for row in doomed]
        for grave in graves:
            await asyncio.to_thread(shutil.rmtree, grave, ignore_errors=True)
        return sum(row.size for row in doomed)

    def tar_size(self, diff_id: Digest) -> int:
        """The length of `tar(diff_id)` in bytes."""
        row = self._store.layer(diff_id)
        if row is None:
            raise not_found(f"No such layer: {diff_id}")
        return row.tar_size

    def uses(self) -> dict[Digest, int]:
        """How many images have each layer."""
        return self._store.layer_uses()

    def sizes(self) -> dict[Digest, int]:
        return {row.diff_id: row.size for row in self._store.layers()}

    def _layer(self, row: LayerRow) -> Layer:
        return Layer(row.diff_id, row.size, self._folder / str(row.number))

    def _keep(self, folder: Path, found: Measure, *, ours: bool) -> Layer:
        if self._store.layer(found.diff_id) is None:
            with self._store.transaction():
                number = self._store.add_layer(found.diff_id, found.size, found.tar_size, ours=ours)
                try:
                    folder.rename(self._folder / str(number))
                except OSError as error:
                    message = f"cannot move {folder} into the layer store: {error.strerror}"
                    raise Fault(Kind.INTERNAL, message) from error
        self.pin(found.diff_id)
        return self.get(found.diff_id)

    def _bury(self, row: LayerRow) -> Path:
        """Row first: what has no row is swept at start, a row without its directory would be a broken layer."""
        grave = self.incoming / f"gone-{row.number}"
        kept = self._store.blobs_of(row.diff_id)
        self._store.remove_layer(row.diff_id)
        (self._folder / str(row.number)).rename(grave)
        for blob in kept:
            self.blobs.remove(blob.digest)
        return grave

    def _empty_incoming(self) -> None:
        if self.incoming.exists():
            shutil.rmtree(self.incoming, ignore_errors=True)
        self.incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _sweep(self) -> None:
        for row in self._store.unused_layers():
            self._store.remove_layer(row.diff_id)
        known = {str(row.number) for row in self._store.layers()}
        for entry in self._folder.iterdir():
            if entry.name not in known:
                shutil.rmtree(entry, ignore_errors=True)


async def _to_its_end(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs `work` in a thread. A cancelled caller still waits for it: nobody cleans up under a thread that writes."""
    job = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait([job])
        raise


def _unpack(archive: BinaryIO, folder: Path) -> Measure:
    return extract(decompress(archive), folder)


def _unpack_file(file: Path, folder: Path) -> Measure:
    with file.open("rb") as archive:
        return _unpack(archive, folder)


def _decompressed(file: Path) -> Iterator[bytes]:
    with file.open("rb") as archive:
        yield from decompress(archive)


def _measure(upperdir: Path) -> Measure:
    state, length = hashlib.sha256(), 0
    for piece in pack(upperdir):
        state.update(piece)
        length += len(piece)
    return Measure(from_hash(state), size_of(upperdir), length)
