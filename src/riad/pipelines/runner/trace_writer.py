"""Writes one job's log: masks secrets, marks sections as GitLab does, and stops at a size with a clear last line."""

from __future__ import annotations

from collections.abc import Iterable

from riad.kernel.clock import Clock
from riad.pipelines.runner.masking import Masker
from riad.pipelines.traces import Traces

MAX_TRACE = 4 * 1024 * 1024

_CLEAR = "\r\x1b[0K"
_CYAN, _RED, _YELLOW, _GREEN, _PLAIN = "\x1b[36;1m", "\x1b[31;1m", "\x1b[0;33m", "\x1b[32;1m", "\x1b[0;m"


class TraceWriter:
    def __init__(self, traces: Traces, job_id: int, *, clock: Clock, limit: int = MAX_TRACE) -> None:
        self._traces = traces
        self._job_id = job_id
        self._clock = clock
        self._limit = limit
        self._size = traces.size(job_id)
        self._masker = Masker(())
        self._section: str | None = None

    def mask(self, secrets: Iterable[str]) -> None:
        self._masker = Masker(secrets)

    @property
    def size(self) -> int:
        return self._size

    @property
    def full(self) -> bool:
        return self._size >= self._limit

    def restart(self, size: int) -> None:
        """Takes back what was written after `size` bytes."""
        self._traces.truncate(self._job_id, size)
        self._size = self._traces.size(self._job_id)

    def open_section(self, name: str, title: str) -> None:
        self.close_section()
        self._section = name
        head = f"section_start:{self._now()}:{name}{_CLEAR}"
        self._write(f"{head}\x1b[0K{_CYAN}{title}{_PLAIN}\n".encode())

    def resume_section(self, name: str) -> None:
        """The section was opened by an earlier process."""
        self._section = name

    def close_section(self) -> None:
        if self._section is not None:
            self._write(f"section_end:{self._now()}:{self._section}{_CLEAR}".encode())
            self._section = None

    def say(self, text: str) -> None:
        self._write(f"{text}\n".encode())

    def warn(self, text: str) -> None:
        self._write(f"{_YELLOW}WARNING: {text}{_PLAIN}\n".encode())

    def error(self, text: str) -> None:
        self._write(f"{_RED}ERROR: {text}{_PLAIN}\n".encode(), beyond=True)

    def succeeded(self, text: str) -> None:
        self._write(f"{_GREEN}{text}{_PLAIN}\n".encode(), beyond=True)

    def output(self, data: bytes) -> None:
        """What the container wrote."""
        self._append(self._masker.feed(data))

    def end_output(self) -> None:
        self._append(self._masker.finish())

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _write(self, data: bytes, *, beyond: bool = False) -> None:
        """Riad's own lines: masked too, for they quote names and addresses."""
        own = self._masker.copy()
        self._append(own.feed(data) + own.finish(), beyond=beyond)

    def _append(self, data: bytes, *, beyond: bool = False) -> None:
        if not data or (self.full and not beyond):
            return
        room = len(data) if beyond else self._limit - self._size
        self._put(data[:room])
        if len(data) > room or (self.full and not beyond):
            notice = f"\n{_RED}The log is longer than {self._limit} bytes; the rest is not kept.{_PLAIN}\n"
            self._put(notice.encode() + b"The job itself goes on.\n")

    def _put(self, data: bytes) -> None:
        self._traces.append(self._job_id, data)
        self._size += len(data)
