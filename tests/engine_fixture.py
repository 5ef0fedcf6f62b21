"""A real engine daemon for tests, on roots, socket and subnet of its own, and the stock docker CLI to drive it."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import engine_rootfs
import peers
from api_judge.proxy import Judge

BASE = "base:1"
"""An image with a shell and core utilities, imported into every engine of `running_engine`."""
DEADLINE = 30.0


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


@dataclass(slots=True)
class RunningEngine:
    root: Path
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    launcher: tuple[str | Path, ...] = ("riad.cli.main",)
    """The module that is run as the daemon, and what comes before the command's own words."""
    _logs: list[Path] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        """Where clients connect: every answer there is judged by Docker's description (see `api_judge`)."""
        return self.root / "engine.sock"

    @property
    def daemons_socket(self) -> Path:
        return self.root / "daemon.sock"

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.root / "client")}

    @property
    def speaks(self) -> tuple[int, ...]:
        """The version of the Engine API that the docker CLI of this host chooses."""
        return tuple(map(int, self.out("version", "--format", "{{.Client.APIVersion}}").split(".")))

    def start(self) -> None:
        """Returns when it answers."""
        with open(self.root / "engine.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    *self.launcher,
                    "engine",
                    "--data-root",
                    self.root / "data",
                    "--exec-root",
                    self.root / "run",
                    "--host",
                    f"unix://{self.daemons_socket}",
                    *self.flags,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,
            )
        wait_until(self._answers, what=lambda: f"the engine did not answer:\n{self.log()}")

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the engine ended with {self.process.returncode}:\n{self.log()}")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.daemons_socket))
            except OSError:
                return False
            return True

    def kill(self) -> None:
        """As `kill -9` or a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def end(self) -> None:
        """After a failure: whatever it takes."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _end(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(DEADLINE)

    def log(self) -> str:
        return (self.root / "engine.log").read_text(errors="replace")

    def docker(self, *arguments: str | Path, stdin: str = "", check: bool = True) -> Said:
        """Runs the docker CLI. With `check` a failure fails the test with what it said."""
        done = subprocess.run(
            ["docker", *map(str, arguments)],
            input=stdin.encode(),
            capture_output=True,
            env=self.environ,
            timeout=120,
            check=False,
        )
        said = Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        if check and said.code != 0:
            raise AssertionError(f"docker {' '.join(map(str, arguments))}: {said}\n{self.log()}")
        return said

    def out(self, *arguments: str | Path, stdin: str = "") -> str:
        """What it printed, without the last line feed."""
        return self.docker(*arguments, stdin=stdin).out.rstrip("\n")

    def background(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["docker", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environ,
        )

    @property
    def is_riad(self) -> bool:
        return True

    def only_riad(self, reason: str) -> None:
        """Skips the rest of a test on other engines."""

    def remove_everything(self) -> None:
        if found := self.out("ps", "-aq").split():
            self.docker("rm", "-f", "-v", *found)


class Terminal:
    """The docker CLI on a terminal, as a person has it. Use with `with`."""

    def __init__(self, engine: RunningEngine, *arguments: str) -> None:
        self._master, theirs = pty.openpty()
        self._process = subprocess.Popen(
            ["docker", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=engine.environ,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str) -> None:
        """Reads until `text` has come since the last `expect`."""
        until = time.monotonic() + DEADLINE
        while text not in self.seen:
            ready, _, _ = select.select([self._master], [], [], max(0.0, until - time.monotonic()))
            data = b""
            with contextlib.suppress(OSError):
                data = os.read(self._master, 65536) if ready else b""
            if not data:
                raise AssertionError(f"{text!r} did not come; seen: {self.seen!r}")
            self.seen += data.decode(errors="replace")
        self.seen = self.seen.partition(text)[2]

    def wait(self) -> int:
        return self._process.wait(DEADLINE)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)


def wait_until(holds: object, *, what: object = "it never came true", deadline: float = DEADLINE) -> None:
    """Asks `holds()` until it is true."""
    until = time.monotonic() + deadline
    while not holds():  # type: ignore[operator]
        if time.monotonic() > until:
            raise AssertionError(what() if callable(what) else what)
        time.sleep(0.02)


class Dockerd(RunningEngine):
    """Docker's own, where `bench/peers.py fetch` has put it: what it fails is no rule for ours."""

    _peer: contextlib.ExitStack
    _running: peers.Peer

    def start(self) -> None:
        self._peer = contextlib.ExitStack()
        self._running = self._peer.enter_context(peers.running("dockerd"))
        self.process = self._running.process
        self.daemons_socket.unlink(missing_ok=True)
        self.daemons_socket.symlink_to(self._running.socket)

    def kill(self) -> None:
        pytest.skip("is about a killed daemon")

    def stop(self) -> None:
        self._peer.close()

    def end(self) -> None:
        self._peer.close()

    @property
    def is_riad(self) -> bool:
        return False

    def only_riad(self, reason: str) -> None:
        pytest.skip(reason)

    def log(self) -> str:
        return self._running.log()


ENGINES = {"riad": RunningEngine, "dockerd": Dockerd}


def engines() -> list[str]:
    """The engines that conformance tests run on: RIAD_TEST_ENGINES=riad,dockerd (in a room: see bench/peers.py)."""
    return os.environ.get("RIAD_TEST_ENGINES", "riad").split(",")


@contextmanager
def running_engine(*flags: str, kind: str = "riad", passable: bool = False) -> Iterator[RunningEngine]:
    """An engine with the image `base:1`; nothing of it is left on the host afterwards.

    `passable`: other users can pass through to its folders, as they can on a real host.
    """
    root = Path(tempfile.mkdtemp(prefix="riad-engine-"))
    if passable:
        root.chmod(0o711)
        if root.parent.owner() == root.owner() and not root.parent.stat().st_mode & 0o1000:
            root.parent.chmod(0o711)
    engine = ENGINES[kind](root, flags)
    judge = Judge(engine.socket, engine.daemons_socket)
    judging = contextlib.ExitStack()
    try:
        judging.enter_context(judge)
        engine.start()
        archive = root / "base.tar"
        archive.write_bytes(engine_rootfs.make_tar(root / "rootfs"))
        engine.docker("import", archive, BASE)
        yield engine
        if engine.process is None or engine.process.poll() is not None:
            engine.start()
        engine.remove_everything()
        engine.stop()
        left = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(root) in line]
        assert not left, f"mounts are left: {left}"
        judge.check()
    finally:
        judging.close()
        if engine.process is not None and engine.process.poll() is None:
            engine.end()
        shutil.rmtree(root, ignore_errors=True)
