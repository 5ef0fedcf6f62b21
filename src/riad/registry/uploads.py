"""Blob uploads: in one piece or in chunks, resumable after a lost connection or a restarted server.

The bytes grow in a part file below `Parts`; how many of them count is `UploadRow.offset`. A restarted server trusts
the row: whatever the file holds beyond it is cut off. The running digest is kept in memory as bytes arrive; where it
was lost (a restart), the part is read once more at the end. OCI distribution specification 1.1, "Pushing blobs".
"""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from riad.kernel.blobs import BlobStore
from riad.kernel.clock import Clock
from riad.registry import blobs as blob_verbs
from riad.registry.faults import Reason, Refusal
from riad.registry.store import RepositoryRow, UploadRow

_CHUNK = 1024 * 1024
_REMEMBERED = 256
"""Running digests kept in memory; the oldest is dropped and costs one more read of its part."""


@dataclass(slots=True)
class _Running:
    algorithm: str
    offset: int
    hasher: Any


@dataclass(slots=True)
class Parts:
    """The part files of one server, and what it remembers of the uploads under way."""

    folder: Path
    _running: OrderedDict[str, _Running] = field(default_factory=OrderedDict)
    _busy: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def path(self, upload_id: str) -> Path:
        return self.folder / upload_id

    @contextmanager
    def alone(self, upload_id: str) -> Iterator[None]:
        """One writer per upload. Raises RANGE_INVALID for the second."""
        with self._lock:
            if upload_id in self._busy:
                raise Refusal(Reason.RANGE_INVALID, "another request is writing to this upload")
            self._busy.add(upload_id)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(upload_id)

    def running(self, upload_id: str, offset: int, algorithm: str) -> Any | None:
        with self._lock:
            known = self._running.pop(upload_id, None)
        matches = known is not None and known.offset == offset and known.algorithm == algorithm
        return known.hasher if known is not None and matches else None

    def remember(self, upload_id: str, running: _Running) -> None:
        with self._lock:
            self._running[upload_id] = running
            while len(self._running) > _REMEMBERED:
                self._running.popitem(last=False)

    def drop(self, upload_id: str) -> None:
        with self._lock:
            self._running.pop(upload_id, None)
        self.path(upload_id).unlink(missing_ok=True)


class Writer:
    """Appends to one part file, digesting as it goes; `close` makes what was written durable."""

    def __init__(self, parts: Parts, upload_id: str, offset: int) -> None:
        self._parts = parts
        self._id = upload_id
        self.offset = offset
        self._hasher = parts.running(upload_id, offset, "sha256") or (hashlib.sha256() if offset == 0 else None)
        parts.folder.mkdir(parents=True, exist_ok=True)
        self._file = _open_part(parts.path(upload_id), offset)
        self._file.truncate(offset)
        self._file.seek(offset)

    def write(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[self._file.write(left) :]
            if self._hasher is not None:
                self._hasher.update(piece)
            self.offset += len(piece)

    def close(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        if self._hasher is not None:
            self._parts.remember(self._id, _Running("sha256", self.offset, self._hasher))


def _open_part(path: Path, offset: int) -> FileIO:
    try:
        return path.open("r+b" if offset else "wb", buffering=0)
    except FileNotFoundError:
        raise Refusal(Reason.BLOB_UPLOAD_UNKNOWN, "the upload's bytes are gone; begin a new one") from None


def begin(session: Session, repository: RepositoryRow, *, clock: Clock) -> UploadRow:
    row = UploadRow(id=str(uuid.uuid4()), repository_id=repository.id, offset=0, touched_at=clock.now())
    session.add(row)
    session.flush()
    return row


def get(session: Session, repository: RepositoryRow, upload_id: str) -> UploadRow:
    """Raises BLOB_UPLOAD_UNKNOWN."""
    row = session.get(UploadRow, upload_id)
    if row is None or row.repository_id != repository.id:
        raise Refusal(Reason.BLOB_UPLOAD_UNKNOWN, f"no upload {upload_id[:40]}; it may have expired: begin a new one")
    return row


def record(session: Session, upload_id: str, offset: int, *, clock: Clock) -> None:
    """The first `offset` bytes of the part count from now on."""
    row = session.get(UploadRow, upload_id)
    if row is not None:
        row.offset = offset
        row.touched_at = clock.now()


def cancel(session: Session, parts: Parts, row: UploadRow) -> None:
    session.delete(row)
    parts.drop(row.id)


def verify(parts: Parts, upload_id: str, offset: int, digest: str) -> None:
    """The part's first `offset` bytes have this digest. Raises DIGEST_INVALID."""
    algorithm = digest.split(":", 1)[0]
    hasher = parts.running(upload_id, offset, algorithm) or _read_again(parts, upload_id, offset, algorithm)
    actual = f"{algorithm}:{hasher.hexdigest()}"
    if actual != digest:
        raise Refusal(
            Reason.DIGEST_INVALID, f"the bytes received are {actual}, not {digest}", detail={"digest": actual}
        )


def _read_again(parts: Parts, upload_id: str, offset: int, algorithm: str) -> Any:
    parts.folder.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.new(algorithm)
    path = parts.path(upload_id)
    if offset == 0:
        path.touch()
    with path.open("r+b") as file:
        file.truncate(offset)
        while data := file.read(_CHUNK):
            hasher.update(data)
    return hasher


def finish(
    session: Session, parts: Parts, store: BlobStore, row: UploadRow, *, digest: str, clock: Clock
) -> blob_verbs.BlobInfo:
    """Turns a verified upload into a blob of its repository; the caller has called `verify`."""
    blob_verbs.keep(session, store, digest, row.offset, parts.path(row.id), clock=clock)
    blob_verbs.link(session, session.get_one(RepositoryRow, row.repository_id), digest, clock=clock)
    session.delete(row)
    return blob_verbs.BlobInfo(digest, row.offset)
