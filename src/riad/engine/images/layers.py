"""The layer store: directories `layers/N`, one per diff ID, shared by all images, holders and running work.

A layer appears whole or not at all: it is made in `incoming/`, then its row and its rename are one step. `incoming/` is
emptied and directories without a row are removed at start, so an interrupted pull or build leaves nothing.

A layer stays while an image has it, somebody holds it (`hold`: a container, the build cache), or it is pinned: what
`adopt`, `import_tar` and `keep` return is pinned until it becomes part of an image (`Images.create`) or is given up
(`unpin`).
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from riad.engine.host.disk import on_disk
from riad.engine.images.blobs import LayerBlobs
from riad.engine.images.compression import decompress
from riad.engine.images.extract import extract
from riad.engine.images.frames import Frames, assemble
from riad.engine.images.model import Layer, Measure
from riad.engine.images.pack import pack, size_of
from riad.engine.images.store import BlobRow, ImageStore, LayerRow
from riad.kernel.faults import Fault, Kind, invalid, not_found
from riad.oci.digest import Digest, from_hash

_THREADS = 16
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stranger's layer, unpacked in `incoming/` and not yet anybody's."""

    found: Measure
    folder: Path
    frames: Path | None


class Layers:
    def __init__(self, store: ImageStore, root: Path) -> None:
        self._store = store
        self._folder = root / "layers"
        self._frames = root / "frames"
        self.incoming = root / "incoming"
        self._pins: Counter[Digest] = Counter()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="layers")
        for folder in (self._folder, self._frames):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
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
            await asyncio.to_thread(remove_folder, folder)

    def unpack(self, pieces: Iterator[bytes], *, framed: bool) -> Arrival:
        """Unpacks a plain tar, in a thread; `keep` makes a layer of it, `discard` forgets it.

        `framed` keeps what is needed to make the exact tar again; do without where its compressed form is kept.
        Raises INVALID for a damaged or malicious archive, EXHAUSTED; nothing remains then.
        """
        folder = self.scratch()
        frames = Frames(folder.with_name(folder.name + ".frames")) if framed else None
        try:
            found = extract(pieces, folder, frames=frames)
            if frames is not None:
                frames.close()
                _check_rescued(frames, folder, found)
            return Arrival(found, folder, frames.folder if frames is not None else None)
        except BaseException:
            for made in (folder, *([frames.folder] if frames is not None else [])):
                remove_folder(made)
            raise

    def keep(self, arrival: Arrival, blob: BlobRow | None = None, file: Path | None = None) -> Layer:
        """Makes a layer of what arrived, with the `file` it came in where it is to be kept. The result is pinned."""
        with self._store.transaction():
            layer = self._keep(arrival.folder, arrival.found, ours=False, frames=arrival.frames)
            if blob is not None:
                self._store.add_blob(blob)
                if file is not None:
                    self.blobs.take(blob.digest, file)
        return layer

    def discard(self, arrival: Arrival) -> None:
        """Forgets what arrived, or what of it `keep` has left because the layer was here already. In a thread."""
        for folder in (arrival.folder, arrival.frames):
            if folder is not None:
                remove_folder(folder)

    def begin(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> asyncio.Future[T]:
        """Runs `work` in a thread for layers, of which there are enough to wait for slow networks. Shield the result:
        a cancelled future does not stop its thread.
        """
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments, **named))

    async def in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """As `begin`, to the end."""
        return await _finished(self.begin(work, *arguments, **named))

    async def adopt(self, upperdir: Path, parent: Layer | None = None) -> Layer:
        """Takes an unmounted overlay upper directory over as a layer: it is gone afterwards. The result is pinned.

        `upperdir` must be on the file system of the data root. `parent` is what it was mounted over; a layer's content
        does not depend on it.
        """
        layer = self._keep(upperdir, await _to_its_end(_measure, upperdir), ours=True)
        if upperdir.exists():
            await asyncio.to_thread(remove_folder, upperdir)
        return layer

    def tar(self, diff_id: Digest) -> Iterator[bytes]:
        """The exact bytes of the diff ID, in pieces; read them in a thread."""
        row = self._store.layer(diff_id)
        if row is None:
            raise not_found(f"No such layer: {diff_id}")
        folder, frames = self._folder / str(row.number), self._frames / str(row.number)
        if row.ours:
            return pack(folder)
        if frames.exists():
            return _checked(assemble(frames, folder), diff_id)
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
        """Removes every layer that nothing needs; returns the bytes that the disk gets back."""
        doomed = [row for row in self._store.unused_layers() if row.diff_id not in self._pins]
        archives = sum(on_disk(path) for row in doomed for path in self._archives(row))
        graves = [self._bury(row) for row in doomed]
        freed = 0
        for grave in graves:
            freed += await asyncio.to_thread(_emptied, grave)
        return freed + archives

    def digests(self) -> dict[str, Digest]:
        """Every digest that stands for a layer that is here, its own and those of its compressed forms."""
        return self._store.layer_digests()

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

    def places(self) -> dict[Digest, tuple[Path, tuple[Path, ...]]]:
        """Of every layer its directory and the archives that are kept of it."""
        return {row.diff_id: (self._folder / str(row.number), self._archives(row)) for row in self._store.layers()}

    def pinned(self, diff_id: Digest) -> bool:
        """Work that goes on now needs it."""
        return diff_id in self._pins

    def _archives(self, row: LayerRow) -> tuple[Path, ...]:
        found = (self.blobs.find(blob.digest) for blob in self._store.blobs_of(row.diff_id))
        frames = self._frames / str(row.number)
        return (*(path for path in found if path is not None), *([frames] if frames.exists() else []))

    def _layer(self, row: LayerRow) -> Layer:
        return Layer(row.diff_id, row.size, self._folder / str(row.number))

    def _keep(self, folder: Path, found: Measure, *, ours: bool, frames: Path | None = None) -> Layer:
        if self._store.layer(found.diff_id) is None:
            with self._store.transaction():
                number = self._store.add_layer(found.diff_id, found.size, found.tar_size, ours=ours)
                try:
                    if frames is not None:
                        frames.rename(self._frames / str(number))
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
        if (frames := self._frames / str(row.number)).exists():
            remove_folder(frames)
        return grave

    def _empty_incoming(self) -> None:
        if self.incoming.exists():
            remove_folder(self.incoming)
        self.incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _sweep(self) -> None:
        for row in self._store.unused_layers():
            self._store.remove_layer(row.diff_id)
        known = {str(row.number) for row in self._store.layers()}
        for entry in (*self._folder.iterdir(), *self._frames.iterdir()):
            if entry.name not in known:
                remove_folder(entry)


async def _to_its_end(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs `work` in a thread. A cancelled caller still waits for it: nobody cleans up under a thread that writes."""
    return await _finished(asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named)))


async def _finished(job: asyncio.Future[T]) -> T:
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait([job])
        raise


def remove_folder(folder: Path) -> None:
    """Removes a folder however deep; what cannot be removed stays for the next start."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # links let an archive make paths longer than any name in it
        subprocess.run(["rm", "-rf", "--", folder], check=False)


def _check_rescued(frames: Frames, folder: Path, found: Measure) -> None:
    """An archive that replaces its own files, perhaps through links, must still come out as it went in."""
    if not frames.rescued:
        return
    try:
        for _ in _checked(assemble(frames.folder, folder), found.diff_id):
            pass
    except Fault:
        raise invalid("the archive replaces its own files through links: nobody could make it anew") from None


def _checked(pieces: Iterator[bytes], diff_id: Digest) -> Iterator[bytes]:
    state = diff_id.hasher()
    for piece in pieces:
        state.update(piece)
        yield piece
    if state.hexdigest() != diff_id.hex:
        raise Fault(Kind.INTERNAL, f"the files of layer {diff_id} are not what they were")


def _emptied(grave: Path) -> int:
    size = on_disk(grave)
    remove_folder(grave)
    return size


def _unpack(archive: BinaryIO, folder: Path) -> Measure:
    return extract(decompress(archive), folder)


def _decompressed(file: Path) -> Iterator[bytes]:
    with file.open("rb") as archive:
        yield from decompress(archive)


def _measure(upperdir: Path) -> Measure:
    state, length = hashlib.sha256(), 0
    for piece in pack(upperdir):
        state.update(piece)
        length += len(piece)
    return Measure(from_hash(state), size_of(upperdir), length)
