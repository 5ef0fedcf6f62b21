"""One layer from a registry: unpacked while it comes, hashed on both sides, continued where the connection broke.

The event loop receives; a thread writes the bytes to a file, hashes, inflates, hashes again and unpacks them. Nothing
of it counts before both digests are what they have to be.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from riad.engine.images.ahead import ahead
from riad.engine.images.compression import bounded, decompressed
from riad.engine.images.conduit import Conduit
from riad.engine.images.layers import Arrival, Layers
from riad.engine.images.model import Layer
from riad.engine.images.progress import LayerProgress
from riad.engine.images.registry.client import Registry
from riad.engine.images.registry.errors import Refusal, Unreachable
from riad.engine.images.registry.retry import pause, worth_another_try
from riad.engine.images.store import BlobRow
from riad.kernel.faults import Fault, exhausted, invalid

_ATTEMPTS = 5


async def download(registry: Registry, wanted: BlobRow, layers: Layers, progress: LayerProgress) -> Layer:
    """The layer, pinned, with the file it came in.

    Raises INVALID for other content, EXHAUSTED for a full disk, Refusal, and Unreachable after several attempts.
    """
    handle, name = tempfile.mkstemp(prefix="blob-", dir=layers.incoming)
    os.close(handle)
    file, conduit = Path(name), Conduit()
    work = layers.begin(_unpack, layers, iter(conduit), wanted, file)
    kept: list[Layer] = []
    try:
        try:
            await _Download(conduit, wanted, progress, work).run(registry)
            conduit.close()
            await progress.say("Verifying Checksum")
            await progress.say("Download complete")
            await progress.moved("Extracting", wanted.size)
            kept.append(layers.keep(await asyncio.shield(work), wanted, file))
            await progress.say("Pull complete")
        finally:
            await asyncio.shield(_clean_up(conduit, work, layers, file))
    except BaseException:
        for layer in kept:
            layers.unpin(layer.diff_id)
        raise
    return kept[0]


async def _clean_up(conduit: Conduit, work: asyncio.Future[Arrival], layers: Layers, file: Path) -> None:
    conduit.close(ConnectionError("given up"))
    await asyncio.wait([work])
    file.unlink(missing_ok=True)
    if work.exception() is None:
        await layers.in_thread(layers.discard, work.result())


class _Download:
    def __init__(
        self, conduit: Conduit, wanted: BlobRow, progress: LayerProgress, work: asyncio.Future[Arrival]
    ) -> None:
        self._conduit = conduit
        self._wanted = wanted
        self._progress = progress
        self._work = work
        self._size = 0

    async def run(self, registry: Registry) -> None:
        last = 0
        attempt = 0
        while True:
            try:
                await self._receive(registry)
                if self._size == self._wanted.size or self._work.done():
                    return
                failure: Exception = Unreachable(f"{registry.place.host}: {self._wanted.digest} ends too early")
            except (Refusal, Unreachable) as error:
                if not worth_another_try(error):
                    raise
                failure = error
            # A line that is cut again and again, but moves on, is not given up.
            attempt, last = (attempt + 1, last) if self._size == last else (1, self._size)
            if attempt >= _ATTEMPTS:
                raise failure
            await asyncio.sleep(pause(attempt))

    async def _receive(self, registry: Registry) -> None:
        async with registry.blob_stream(self._wanted.digest, offset=self._size) as answer:
            again = self._size if self._size and answer.status != 206 else 0  # it begins anew: skip what is here
            async for piece in answer.content.iter_any():
                if again:
                    skipped = min(again, len(piece))
                    again -= skipped
                    piece = piece[skipped:]
                if self._size + len(piece) > self._wanted.size:
                    raise invalid(f"{self._wanted.digest} is longer than the {self._wanted.size} bytes announced")
                self._size += len(piece)
                await self._conduit.put(piece)
                await self._progress.moved("Downloading", self._size)
                if self._work.done():
                    return  # it failed: the rest would be for nothing


def _unpack(layers: Layers, pieces: Iterator[bytes], wanted: BlobRow, file: Path) -> Arrival:
    """In a thread. Raises INVALID where either digest is another one."""
    kept = _Kept(pieces, wanted, file)
    try:
        with closing(ahead(bounded(decompressed(iter(kept)), wanted.size))) as plain:
            arrival = layers.unpack(plain, framed=False)
    except Fault:
        kept.drain()  # damage on the way is told as what it is, not as what it makes of the content
        kept.verify()
        raise
    try:
        kept.drain()
        kept.verify()
        if arrival.found.diff_id != wanted.diff_id:
            raise invalid(f"the layer's content is {arrival.found.diff_id}, its image says {wanted.diff_id}")
    except BaseException:
        layers.discard(arrival)
        raise
    return arrival


class _Kept:
    """The pieces, written to a file and hashed as they are read."""

    def __init__(self, pieces: Iterator[bytes], wanted: BlobRow, file: Path) -> None:
        self._pieces = pieces
        self._wanted = wanted
        self._file = file
        self._hash = wanted.digest.hasher()
        self._iterator = self._read()

    def __iter__(self) -> Iterator[bytes]:
        return self._iterator

    def _read(self) -> Iterator[bytes]:
        try:
            with self._file.open("wb", buffering=0) as file:
                for piece in self._pieces:
                    self._hash.update(piece)
                    left = memoryview(piece)
                    while left:
                        left = left[file.write(left) :]
                    yield piece
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise exhausted("no space left on the disk of the data root") from None
            raise

    def drain(self) -> None:
        for _ in self._iterator:
            pass

    def verify(self) -> None:
        if self._hash.hexdigest() != self._wanted.digest.hex:
            raise invalid(f"filesystem layer verification failed for digest {self._wanted.digest}")
