"""Running another command in a container. The process belongs to the daemon's own children: no helper stays beside it.

The runtime starts it detached with our pipes or a terminal; its end is seen through a descriptor of the process. Its
exit code is set before the streams end, because clients ask for it as soon as they do. Executions are forgotten with
the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import struct
import subprocess
import termios
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from riad.engine.containers import bundle, detach, spec, user
from riad.engine.containers.attach import STDERR, STDOUT, Output
from riad.engine.containers.capabilities import effective
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.containers.names import new_id
from riad.engine.containers.security import read_security
from riad.engine.host import pidfd
from riad.engine.host.pipes import ConsoleSocket, Pipe
from riad.engine.host.runc import reason
from riad.kernel.faults import Fault, Kind, conflict, invalid, not_found

_AFTER_EXIT = 2.0
"""Seconds that a process in the background may keep the streams open after the command itself has ended."""
_REMEMBERED = 256
_DEADLINE = 60.0
_READ = 2**18


@dataclass(frozen=True, slots=True)
class ExecWish:
    command: tuple[str, ...]
    user: str = ""
    working_dir: str = ""
    env: tuple[str, ...] = ()
    tty: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    privileged: bool = False
    detach_keys: str = ""
    console_size: tuple[int, int] | None = None
    """Height and width."""


@dataclass(slots=True)
class Exec:
    """One execution. `exit_code` is None until it has ended."""

    id: str
    container_id: str
    wish: ExecWish
    pid: int = 0
    running: bool = False
    exit_code: int | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    terminal: Pipe | None = None


class Executions:
    """All executions of this daemon's life, the oldest that have ended forgotten first."""

    def __init__(self) -> None:
        self._known: dict[str, Exec] = {}

    def get(self, exec_id: str) -> Exec:
        found = self._known.get(exec_id)
        if found is None:
            raise not_found(f"No such exec instance: {exec_id}")
        return found

    def of(self, container_id: str) -> list[str]:
        """The ids of those that run or have not been started."""
        return [e.id for e in self._known.values() if e.container_id == container_id and e.exit_code is None]

    def add(self, execution: Exec) -> None:
        self._known[execution.id] = execution
        ended = [e.id for e in self._known.values() if e.exit_code is not None]
        for exec_id in ended[: max(0, len(ended) - _REMEMBERED)]:
            del self._known[exec_id]


def create(engine: Engine, executions: Executions, container: Container, wish: ExecWish, *, reference: str) -> Exec:
    """Raises CONFLICT where the container, named as the client did, does not run; INVALID without a command."""
    _check_running(engine.registry.fresh(container), reference)
    if not wish.command or not wish.command[0]:
        raise invalid("No exec command specified")
    try:
        detach.parse_keys(wish.detach_keys)
    except Fault:
        raise invalid(f"Invalid escape keys ({wish.detach_keys}) provided") from None
    engine.moves.hasten()  # the client asks to start it next
    execution = Exec(new_id(), container.id, wish)
    executions.add(execution)
    engine.announce(container, f"exec_create: {' '.join(wish.command)}", execID=execution.id)
    return execution


def _check_running(container: Container, reference: str) -> None:
    if container.phase is Phase.PAUSED:
        raise conflict(f"Container {reference} is paused, unpause the container before exec")
    if container.phase is Phase.RESTARTING:
        raise conflict(f"Container {container.id} is restarting, wait until the container is running")
    if container.phase is not Phase.RUNNING:
        raise conflict(f"container {container.id} is not running")


@dataclass(slots=True)
class Streams:
    """The process's streams; with a terminal all three are one."""

    stdin: Pipe | None
    outputs: dict[int, Pipe]
    ended: bool = False
    """All output was read."""

    async def output(self) -> AsyncIterator[Output]:
        """As it comes, until all have ended."""
        pending = {asyncio.ensure_future(pipe.read(_READ)): kind for kind, pipe in self.outputs.items()}
        try:
            while pending:
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    kind = pending.pop(future)
                    if data := future.result():
                        yield [(kind, data)]
                        pending[asyncio.ensure_future(self.outputs[kind].read(_READ))] = kind
            self.ended = True
        finally:
            for future in pending:
                future.cancel()

    async def read_on(self) -> None:
        """Reads what nobody wants to see, because the process would wait for that."""
        async for _ in self.output():
            pass

    async def send(self, data: bytes) -> None:
        """Input for the process. Raises OSError when it reads no more."""
        if self.stdin is not None:
            await self.stdin.write(data)

    def end(self) -> bool:
        """The client's input has ended; the session goes on. A terminal stays open: it is for output, too."""
        if self.stdin is not None and self.stdin not in self.outputs.values():
            self.stdin.close()
        return False

    def close(self) -> None:
        for pipe in (self.stdin, *self.outputs.values()):
            if pipe is not None:
                pipe.close()


async def start(
    engine: Engine, execution: Exec, *, detached: bool = False, console_size: tuple[int, int] | None = None
) -> tuple[Streams, asyncio.Task[None]]:
    """Begins it; returns its streams and the task that ends when it has. Raises CONFLICT where it was started before.

    A command that cannot be started is INVALID with exit code 126 or 127, as a shell would give.
    """
    container = check_startable(engine, execution)
    engine.moves.hasten()
    execution.running = True
    folder = engine.paths.run / "exec" / execution.id
    folder.mkdir(parents=True)
    try:
        process = _process(engine, container, execution.wish, console_size)
        (folder / "process.json").write_text(json.dumps(spec.process_spec(process, engine.host)))
        streams = await _spawn(engine, execution, folder, detached=detached)
        execution.pid = int((folder / "pid").read_text())
    except Fault as fault:
        execution.running, execution.exit_code = False, _exit_code(fault.message)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    execution.terminal = streams.stdin if execution.wish.tty else None
    execution.started.set()
    engine.announce(container, f"exec_start: {' '.join(execution.wish.command)}", execID=execution.id)
    return streams, engine.spawn(_follow(engine, container, execution, streams))


def check_startable(engine: Engine, execution: Exec) -> Container:
    """Its container. Raises CONFLICT where that does not run, or the execution was started before."""
    if execution.running or execution.exit_code is not None:
        raise conflict(f"exec command {execution.id} is already running or has run")
    container = engine.registry.find(execution.container_id)
    _check_running(container, container.name)
    return container


def _exit_code(message: str) -> int:
    return 127 if "not found" in message or "no such file" in message else 126


def _process(
    engine: Engine, container: Container, wish: ExecWish, console_size: tuple[int, int] | None
) -> spec.Process:
    settings, host = container.settings, container.settings.host
    account = user.account_in(
        engine.paths.root(container.id), wish.user or settings.config.user, () if wish.user else host.group_add
    )
    return spec.Process(
        args=wish.command,
        env=bundle.environment(container, home=account.home, extra=wish.env, tty=wish.tty),
        cwd=wish.working_dir or settings.config.working_dir or "/",
        user=account.user,
        terminal=wish.tty,
        console_size=console_size,
        capabilities=effective(
            add=host.cap_add,
            drop=host.cap_drop,
            privileged=wish.privileged or host.privileged,
            bounding=engine.bounding,
        ),
        apparmor=bundle.apparmor(host, engine.host),
        no_new_privileges=read_security(host.security).no_new_privileges,
        limits=host.ulimits,
        oom_score_adj=host.oom_score_adj or None,
    )


async def _spawn(engine: Engine, execution: Exec, folder: Path, *, detached: bool) -> Streams:
    command: list[str | Path] = ["exec", "--detach", "--process", folder / "process.json", "--pid-file", folder / "pid"]
    if execution.wish.tty:
        with ConsoleSocket(folder / "console") as console:
            receiving = asyncio.ensure_future(console.receive())
            try:
                await _run(engine, [*command, "--console-socket", console.address, execution.container_id], (None,) * 3)
                terminal = Pipe(await asyncio.wait_for(receiving, _DEADLINE))
            finally:
                receiving.cancel()
        return Streams(terminal, {STDOUT: terminal})
    wish = execution.wish
    wanted = (wish.stdin, wish.stdout, wish.stderr) if not detached else (False, False, False)
    pairs = [os.pipe() if on else None for on in wanted]
    theirs = [(pair[0] if index == 0 else pair[1]) if pair else None for index, pair in enumerate(pairs)]
    ours = [(pair[1] if index == 0 else pair[0]) if pair else None for index, pair in enumerate(pairs)]
    try:
        await _run(engine, [*command, execution.container_id], tuple(theirs))
    except BaseException:
        for handle in filter(None, ours):
            os.close(handle)
        raise
    finally:
        for handle in filter(None, theirs):
            os.close(handle)
    stdin, *outputs = (Pipe(handle, roomy=True) if handle is not None else None for handle in ours)
    return Streams(stdin, {kind: pipe for kind, pipe in zip((STDOUT, STDERR), outputs, strict=True) if pipe})


async def _run(engine: Engine, arguments: list[str | Path], handles: tuple[int | None, ...]) -> None:
    """The runtime ends as soon as the command has begun. It complains to a file: stderr is the command's."""
    log = Path(arguments[3]).parent / "log"
    stdin, stdout, stderr = (subprocess.DEVNULL if handle is None else handle for handle in handles)
    process = subprocess.Popen(  # noqa: ASYNC220 -- vfork and exec take less than asyncio's own bookkeeping
        engine.runtime.command("--log", log, "--log-format", "json", *arguments),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={"PATH": os.environ.get("PATH", os.defpath)},
        start_new_session=True,
    )
    handle = pidfd.open_process(process.pid)
    async with asyncio.timeout(_DEADLINE):
        code = await pidfd.exited(handle) if handle is not None else 0
    process.returncode = code or 0
    if code:
        raise Fault(Kind.INVALID, f"OCI runtime exec failed: {_complaint(log)}: unknown")


def _complaint(log: Path) -> str:
    try:
        entry = json.loads(log.read_text().strip().splitlines()[-1])
        return str(entry["msg"])
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        return reason("")


async def _follow(engine: Engine, container: Container, execution: Exec, streams: Streams) -> None:
    handle = pidfd.open_process(execution.pid)
    code = await pidfd.exited(handle) if handle is not None else None
    execution.exit_code = 0 if code is None else code
    execution.running = False
    execution.terminal = None
    announce(engine, execution, "exec_die", exitCode=str(execution.exit_code))
    asyncio.get_running_loop().call_later(_AFTER_EXIT, streams.close)


def announce(engine: Engine, execution: Exec, action: str, **attributes: str) -> None:
    """Publishes an event of its container, unless that has gone."""
    if (container := engine.registry.get(execution.container_id)) is not None:
        engine.announce(container, action, execID=execution.id, **attributes)


def resize(execution: Exec, *, height: int, width: int) -> None:
    """Sets the size of its terminal. Raises CONFLICT where it has none or does not run."""
    if execution.terminal is None or execution.terminal.handle < 0:
        raise conflict(f"exec {execution.id} has no terminal now")
    with contextlib.suppress(OSError):
        fcntl.ioctl(execution.terminal.handle, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
