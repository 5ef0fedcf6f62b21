"""conmon: one small process per container that holds its streams, writes its log and its exit code, and outlives us.

The daemon may die and come back: conmon's process is found again by number and start time, its exit code in `exits/ID`.
Attaching is a packet socket: each packet from conmon begins with a byte (2 stdout, 3 stderr); packets to it are input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from riad.engine.host import pidfd
from riad.engine.host.pipes import Pipe, connect_packets
from riad.engine.host.runc import Runtime, reason
from riad.kernel.faults import Fault, Kind

STDOUT, STDERR = 2, 3
PACKET = 32768
"""The largest input packet that conmon reads whole."""
_DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class Launch:
    """One container to create. `bundle` holds config.json; conmon keeps its sockets and pipes there too."""

    container: str
    bundle: Path
    exits: Path
    log: Path | None
    """None keeps no log."""
    terminal: bool = False
    stdin: bool = False
    leave_stdin_open: bool = False
    log_limit: int | None = None
    """Bytes after which conmon begins a new log by itself, leaving the old one to whoever has another name for it."""


@dataclass(frozen=True, slots=True)
class Launched:
    pid: int
    conmon_pid: int


def find() -> str:
    """Raises UNAVAILABLE with the way out where conmon is not installed."""
    found = shutil.which("conmon")
    if found is None:
        raise Fault(Kind.UNAVAILABLE, "conmon is not installed on this host (apt-get install conmon)")
    return found


def command(program: str, runtime: Runtime, launch: Launch) -> list[str]:
    """The command line; pure."""
    log = f"k8s-file:{launch.log}" if launch.log else "null"
    line = [program, "--api-version", "1", "--cid", launch.container, "--cuuid", launch.container]
    line += ["--runtime", runtime.executable, "--runtime-arg", f"--root={runtime.root}"]
    line += ["--bundle", str(launch.bundle), "--full-attach", "--no-sync-log", "--log-path", log]
    line += ["--container-pidfile", str(launch.bundle / "pid"), "--conmon-pidfile", str(launch.bundle / "conmon.pid")]
    line += ["--exit-dir", str(launch.exits), "--persist-dir", str(launch.bundle), "--log-level", "error"]
    if launch.terminal:
        line.append("--terminal")
    if launch.stdin:
        line.append("--stdin")
    if launch.leave_stdin_open:
        line.append("--leave-stdin-open")
    if launch.log_limit:
        line += ["--log-size-max", str(launch.log_limit)]
    return line


async def launch(program: str, runtime: Runtime, wanted: Launch) -> Launched:
    """Creates the container; its process waits for `runtime.start`. Raises INTERNAL with the runtime's reason."""
    for name in ("pid", "conmon.pid", "oom", "attach", "ctl", "winsz"):
        with contextlib.suppress(FileNotFoundError):
            (wanted.bundle / name).unlink()
    reading, writing = os.pipe()
    answer = Pipe(reading)
    complaints = os.open(wanted.bundle / "conmon.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with contextlib.closing(answer):
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 -- vfork and exec take less than asyncio's own bookkeeping
                command(program, runtime, wanted),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                pass_fds=(writing,),
                env={"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC", "_OCI_SYNCPIPE": str(writing)},
                cwd=wanted.bundle,
                start_new_session=True,
            )
        finally:
            os.close(writing)
            os.close(complaints)
        async with asyncio.timeout(_DEADLINE):
            said = b""
            while b"\n" not in said and (data := await answer.read()):
                said += data
        await _reaped(process)
    pid = _created(said, wanted)
    return Launched(pid, int((wanted.bundle / "conmon.pid").read_text()))


async def _reaped(process: subprocess.Popen[bytes]) -> None:
    """conmon's first process ends once the one that stays has been forked."""
    handle = pidfd.open_process(process.pid)
    if handle is not None:
        code = await pidfd.exited(handle)
        process.returncode = 0 if code is None else code  # subprocess must not wait for a number that may be reused


def _created(said: bytes, wanted: Launch) -> int:
    try:
        answer = json.loads(said)
    except ValueError:
        complaint = (wanted.bundle / "conmon.log").read_text(errors="replace").strip()
        raise Fault(Kind.INTERNAL, f"conmon failed: {complaint or 'it ended without an answer'}") from None
    pid = int(answer.get("pid") or answer.get("data") or -1)
    if pid <= 0:
        raise Fault(Kind.INTERNAL, reason(str(answer.get("message", ""))))
    return pid


def attach(bundle: Path) -> socket.socket:
    """A packet socket to the running container's streams. Raises OSError where there is none (any more)."""
    return connect_packets(bundle / "attach")


def resize(bundle: Path, *, height: int, width: int) -> None:
    """Sets the terminal's size. Raises OSError where conmon is gone."""
    _tell(bundle, f"1 {height} {width}\n")


def reopen_log(bundle: Path) -> None:
    """conmon ends its present log file and puts a new one in its place. Raises OSError where conmon is gone."""
    _tell(bundle, "2 0 0\n")


def _tell(bundle: Path, message: str) -> None:
    handle = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(handle, message.encode())
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Exit:
    code: int
    at: float
    """Unix seconds."""
    oom_killed: bool


def exit_of(container: str, *, exits: Path, bundle: Path) -> Exit | None:
    """What conmon wrote when the container ended; None where it wrote nothing (killed, or the host went down)."""
    file = exits / container
    try:
        return Exit(int(file.read_text()), file.stat().st_mtime, (bundle / "oom").exists())
    except (FileNotFoundError, ValueError):
        return None
