"""Keeps Riad's processes running: starts each, starts it again when it dies, stops all in order.

The supervisor is small on purpose (no event loop, nothing but the standard library): it waits on pidfds, so it
notices the death of a process whether that is its own child or one it adopted from a supervisor that was killed.
Killing the supervisor stops nothing; the next one takes over what it finds by the supervision file.

Rules: a process that dies is started again at once, then after 1, 2, 4 … 30 s while it keeps dying young (under
10 s); stop order is the reverse of start order, SIGTERM first, SIGKILL after the part's own grace.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

YOUNG = 10.0
LONGEST_PAUSE = 30.0
LARGEST_LOG = 16 * 1024 * 1024
"""Bytes of one process's log; looked at whenever something happens, and every hour."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process to keep.

    `waits_for`: a file that must exist before it is started. `before_stop` is done before it is told to stop, when
    the parts after it have stopped already; not where it has died by itself.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environ: dict[str, str] = field(default_factory=dict)
    waits_for: Path | None = None
    grace: float = 15.0
    before_stop: Callable[[], None] | None = None


@dataclass(slots=True)
class Kept:
    part: Part
    pid: int | None = None
    pidfd: int | None = None
    started: float = 0.0
    restarts: int = 0
    pause: float = 0.0
    start_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is still the one that was started: pids are reused, start times are not."""

    pid: int
    start_time: int

    def alive(self) -> bool:
        return start_time(self.pid) == self.start_time


def start_time(pid: int) -> int | None:
    """Clock ticks after boot at which `pid` started; None where there is no such process (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def read_supervision(file: Path) -> dict[str, Any] | None:
    """What the last supervisor wrote: {"supervisor": process, "parts": {name: {process, restarts, since}}, "port"}."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def process_of(entry: dict[str, Any]) -> Process:
    return Process(pid=int(entry["pid"]), start_time=int(entry["start_time"]))


def _copied(log: Path) -> Path:
    part = log.with_name(f"{log.name}.part")
    part.unlink(missing_ok=True)
    with log.open("rb") as source, part.open("xb") as copy:
        while piece := source.read(1 << 20):
            copy.write(piece)
    return part


class Supervisor:
    def __init__(self, parts: list[Part], file: Path, *, about: dict[str, Any]) -> None:
        self._kept = [Kept(part) for part in parts]
        self._file = file
        self._about = about
        self._stopping = False
        self._poll = select.poll()

    def run(self) -> None:
        """Returns when SIGTERM or SIGINT came and everything has stopped."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll.register(reader, select.POLLIN)
        self._adopt()
        while not self._stopping:
            self._start_what_is_due()
            self._wait(reader)
            self._bound_logs()
        self._stop_all()
        self._file.unlink(missing_ok=True)

    def _ask_to_stop(self, *_: object) -> None:
        self._stopping = True

    def _adopt(self) -> None:
        earlier = (read_supervision(self._file) or {}).get("parts", {})
        for kept in self._kept:
            entry = earlier.get(kept.part.name)
            if entry and process_of(entry).alive():
                self._watch(kept, entry["pid"])
                kept.restarts = entry.get("restarts", 0)

    def _watch(self, kept: Kept, pid: int) -> None:
        kept.pid = pid
        kept.pidfd = os.pidfd_open(pid)
        kept.started = time.monotonic()
        self._poll.register(kept.pidfd, select.POLLIN)

    def _start_what_is_due(self) -> None:
        changed = False
        for kept in self._kept:
            due = kept.pid is None and time.monotonic() >= kept.start_after
            if due and (kept.part.waits_for is None or kept.part.waits_for.exists()):
                self._start(kept)
                changed = True
        if changed:
            self._write()

    def _start(self, kept: Kept) -> None:
        kept.part.log.parent.mkdir(parents=True, exist_ok=True)
        with kept.part.log.open("ab") as log:
            child = subprocess.Popen(
                kept.part.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **kept.part.environ},
                start_new_session=True,
            )
        child.returncode = 0  # waited for by pid below; keeps Popen from warning
        self._watch(kept, child.pid)

    def _wait(self, reader: int) -> None:
        for fd, _ in self._poll.poll(self._patience() * 1000):
            if fd == reader:
                with contextlib.suppress(BlockingIOError):
                    os.read(reader, 512)
            else:
                self._note_death(fd)

    def _bound_logs(self) -> None:
        """Every process appends to its log, so it can be copied and begun anew under its hands."""
        for kept in self._kept:
            log = kept.part.log
            with contextlib.suppress(OSError):
                if log.stat().st_size > LARGEST_LOG:
                    os.replace(_copied(log), log.with_name(f"{log.name}.1"))
                    os.truncate(log, 0)

    def _patience(self) -> float:
        """How long nothing needs doing, in seconds: short while a part still has to be started."""
        pauses = [
            0.05 if kept.part.waits_for else max(0.0, kept.start_after - time.monotonic())
            for kept in self._kept
            if kept.pid is None
        ]
        return min(pauses, default=3600.0)

    def _note_death(self, fd: int) -> None:
        kept = next(kept for kept in self._kept if kept.pidfd == fd)
        self._forget(kept)
        young = time.monotonic() - kept.started < YOUNG
        kept.pause = min(LONGEST_PAUSE, max(1.0, kept.pause * 2)) if young and kept.restarts else 0.0
        kept.start_after = time.monotonic() + kept.pause
        kept.restarts += 1
        print(f"supervisor: {kept.part.name} ended; starting it again in {kept.pause:g} s", file=sys.stderr, flush=True)

    def _forget(self, kept: Kept) -> None:
        assert kept.pid is not None
        assert kept.pidfd is not None
        self._poll.unregister(kept.pidfd)
        os.close(kept.pidfd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(kept.pid, 0)
        kept.pid = kept.pidfd = None

    def _stop_all(self) -> None:
        for kept in reversed(self._kept):
            if kept.pid is None or kept.pidfd is None:
                continue
            if kept.part.before_stop is not None:
                kept.part.before_stop()
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(kept.pidfd, signal.SIGTERM)
            if not select.select([kept.pidfd], [], [], kept.part.grace)[0]:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(kept.pidfd, signal.SIGKILL)
                select.select([kept.pidfd], [], [])
            self._forget(kept)

    def _write(self) -> None:
        own = Process(os.getpid(), start_time(os.getpid()) or 0)
        parts = {
            kept.part.name: {"pid": kept.pid, "start_time": start_time(kept.pid), "restarts": kept.restarts}
            for kept in self._kept
            if kept.pid is not None
        }
        text = json.dumps({"supervisor": asdict(own), "parts": parts, **self._about})
        part = self._file.with_suffix(".part")
        part.write_text(text)
        part.replace(self._file)
