"""One blob into one file: hashed as it comes, continued where the connection broke, refused where it is another one."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tempfile
from pathlib import Path

from riad.engine.images.progress import LayerProgress
from riad.engine.images.registry.client import Registry
from riad.engine.images.registry.errors import Unreachable
from riad.kernel.faults import exhausted, invalid
from riad.oci.descriptor import Descriptor

_ATTEMPTS = 5
_PIECE = 1 << 20
_FIRST_PAUSE = 0.2  # seconds, doubled after each broken attempt


async def download(registry: Registry, wanted: Descriptor, folder: Path, progress: LayerProgress) -> Path:
    """A verified new file in `folder`, the caller's to move or remove.

    Raises INVALID for other content, EXHAUSTED for a full disk, Refusal, and Unreachable after several attempts.
    """
    handle, name = tempfile.mkstemp(prefix="blob-", dir=folder)
    job = _Download(handle, wanted, progress)
    try:
        await job.run(registry)
        await progress.say("Verifying Checksum")
        job.verify()
        return Path(name)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


class _Download:
    def __init__(self, handle: int, wanted: Descriptor, progress: LayerProgress) -> None:
        self._handle = handle
        self._wanted = wanted
        self._progress = progress
        self._restart()

    def _restart(self) -> None:
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self._size = 0
        self._hash: hashlib._Hash = self._wanted.digest.hasher()

    async def run(self, registry: Registry) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                await self._receive(registry)
                if self._size == self._wanted.size:
                    return
            except Unreachable:
                if attempt == _ATTEMPTS - 1:
                    raise
            await asyncio.sleep(_FIRST_PAUSE * 2**attempt)
        raise Unreachable(f"{registry.place.host}: {self._wanted.digest} ends after {self._size} bytes every time")

    async def _receive(self, registry: Registry) -> None:
        async with registry.blob_stream(self._wanted.digest, offset=self._size) as answer:
            if self._size and answer.status != 206:
                self._restart()
            async for piece in answer.content.iter_chunked(_PIECE):
                if self._size + len(piece) > self._wanted.size:
                    raise invalid(f"{self._wanted.digest} is longer than the {self._wanted.size} bytes announced")
                await asyncio.to_thread(self._take, piece)
                await self._progress.moved("Downloading", self._size)

    def _take(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._size += len(piece)
        left = memoryview(piece)
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise exhausted("no space left on the disk of the data root") from None
            raise

    def verify(self) -> None:
        if self._hash.hexdigest() != self._wanted.digest.hex:
            raise invalid(f"filesystem layer verification failed for digest {self._wanted.digest}")
