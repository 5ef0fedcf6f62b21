"""Job logs as files: `FOLDER/<job>.log`, in GitLab's trace format (sections, ANSI colours).

A log only grows, but for a resumed job, whose container's log is written again from its beginning (the same bytes).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a log: `data` begins at `offset`; `size` is the whole log's, in bytes."""

    data: bytes
    offset: int
    size: int

    @property
    def next_offset(self) -> int:
        return self.offset + len(self.data)


class Traces:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, job_id: int) -> Path:
        return self._folder / f"{job_id}.log"

    def size(self, job_id: int) -> int:
        try:
            return self.path(job_id).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, job_id: int, offset: int = 0, limit: int | None = None) -> Slice:
        """A negative offset counts from the end; past the end the slice is empty."""
        try:
            with self.path(job_id).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                start = min(offset if offset >= 0 else max(0, size + offset), size)
                file.seek(start)
                return Slice(file.read(-1 if limit is None else limit), start, size)
        except FileNotFoundError:
            return Slice(b"", 0, 0)

    def append(self, job_id: int, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.path(job_id).open("ab") as file:
            file.write(data)

    def truncate(self, job_id: int, size: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.path(job_id).open("ab") as file:
            file.truncate(size)

    def delete(self, job_id: int) -> None:
        self.path(job_id).unlink(missing_ok=True)
