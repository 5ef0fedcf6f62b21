"""The OCI runtime: `runc` or `crun`, whichever works on this host. Containers are created by conmon (see `conmon`).

Every call is a short process with a deadline; none holds a lock, so a stuck container hangs nobody but its own caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from riad.engine.host import cgroups, runc_start, sealed
from riad.kernel import process
from riad.kernel.faults import Fault, Kind

_DEADLINE = 30.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime program with its own state folder, so that engines side by side never see each other's containers."""

    program: str
    root: Path
    copy: str = ""
    """Where to run it by instead: a sealed copy of the program (see `sealed`)."""

    @property
    def executable(self) -> str:
        return self.copy or self.program

    @property
    def name(self) -> str:
        return os.path.basename(self.program)

    def command(self, *arguments: str | Path) -> list[str]:
        return [self.executable, "--root", str(self.root), *map(str, arguments)]

    async def start(self, container: str, pid: int, *, hooked: bool = False) -> None:
        """Lets the created container's process `pid` begin. Raises INTERNAL with the runtime's reason.

        `hooked`: there are hooks that the runtime may have to run at this moment.
        """
        fifo = self.root / container / "exec.fifo"
        if self.name == "runc" and not hooked and await runc_start.let_begin(fifo, pid):
            return
        await self._call("start", container)

    async def kill(self, container: str, signal: int, *, everyone: bool = False) -> None:
        """Sends the signal to the first process, or to all. A container that is gone is no error."""
        done = await process.run(
            self.command("kill", *(["--all"] if everyone else []), container, str(signal)),
            timeout=_DEADLINE,
            check=False,
        )
        text = done.said()
        if done.code != 0 and not any(sentence in text for sentence in _GONE):
            raise Fault(Kind.INTERNAL, reason(text))

    async def pause(self, container: str) -> None:
        await self._call("pause", container)

    async def resume(self, container: str) -> None:
        await self._call("resume", container)

    async def update(self, container: str, resources: dict[str, object]) -> None:
        """Changes limits while the container runs; `resources` is `linux.resources` of the runtime specification."""
        await self._call("update", "--resources", "-", container, stdin=json.dumps(resources).encode())

    async def delete(self, container: str) -> None:
        """Kills what is left and forgets the container. May be called twice."""
        done = await process.run(self.command("delete", "--force", container), timeout=_DEADLINE, check=False)
        if done.code != 0 and (self.root / container).exists():
            raise Fault(Kind.INTERNAL, reason(done.said()))

    def forget(self, container: str) -> bool:
        """Drops the state of a container whose processes have all gone, without starting the runtime for it.

        That state is one folder under `root` for runc and crun alike. False where it could not be removed.
        """
        shutil.rmtree(self.root / container, ignore_errors=True)
        return not (self.root / container).exists()

    def known(self) -> set[str]:
        """The containers that the runtime has state of, running or not."""
        try:
            return {entry.name for entry in os.scandir(self.root) if entry.is_dir()}
        except FileNotFoundError:
            return set()

    async def run(
        self, container: str, bundle: Path, *, output: Callable[[bytes], Awaitable[None]], timeout: float | None = None
    ) -> int:
        """Runs a bundle in the foreground to the end, as builds do; `output` gets what it writes.

        Returns the exit code.

        Nothing is left behind, also when cancelled. Raises INTERNAL with the runtime's reason where it did not start.
        """
        log = bundle / "runtime.log"
        child = await asyncio.create_subprocess_exec(
            *self.command("--log", log, "--log-format", "json", "run", "--bundle", bundle, container),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(timeout):
                assert child.stdout is not None
                while data := await child.stdout.read(65536):
                    await output(data)
                code = await child.wait()
        finally:
            if child.returncode is None:
                await asyncio.shield(self._abandon(container, child))
        if failure := _logged_error(log):
            raise Fault(Kind.INTERNAL, failure)
        return code

    async def _abandon(self, container: str, child: asyncio.subprocess.Process) -> None:
        await self.delete(container)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()

    async def _call(self, *arguments: str, stdin: bytes | None = None) -> None:
        done = await process.run(self.command(*arguments), timeout=_DEADLINE, stdin=stdin, check=False)
        if done.code != 0:
            raise Fault(Kind.INTERNAL, reason(done.said()))


_GONE = ("process already finished", "does not exist", "no such process", "container not running")


def detect(root: Path, *, program: str | None = None, seal: bool = False) -> Runtime:
    """The runtime for this host: crun needs cgroup v2, runc works with either layout. `seal` makes runc start sooner.

    Raises UNAVAILABLE with the way out where there is none.
    """
    wanted = [program] if program else ["crun", "runc"] if cgroups.layout() is cgroups.Layout.V2 else ["runc"]
    for name in wanted:
        if found := shutil.which(name):
            return Runtime(found, root, copy=(sealed.copy(found) or "") if seal and name == "runc" else "")
    raise Fault(Kind.UNAVAILABLE, f"no container runtime: install {' or '.join(wanted)} (apt-get install runc)")


_LOG_LINE = re.compile(r'^time="[^"]*" level=\w+ msg="(?P<text>(?:[^"\\]|\\.)*)"')


def reason(said: str) -> str:
    """What a runtime complained about, without the dress of its log lines.

    >>> reason('time="2024-01-01T00:00:00Z" level=error msg="runc create failed: exec: \\\\"x\\\\": not found"')
    'runc create failed: exec: "x": not found'
    """
    lines = [line for line in said.strip().splitlines() if line.strip()]
    if not lines:
        return "the runtime failed without saying why"
    found = _LOG_LINE.match(lines[-1])
    return found["text"].replace('\\"', '"') if found else lines[-1]


def _logged_error(log: Path) -> str | None:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
                return str(entry.get("msg", ""))
    return None
