"""Ending a container's processes: stop, kill, restart; and holding them: pause, unpause."""

from __future__ import annotations

import asyncio
import contextlib
import signal as signals

from riad.engine.containers import exits, start
from riad.engine.containers.engine import Engine
from riad.engine.containers.model import Container, Phase
from riad.engine.containers.registry import settle
from riad.engine.containers.signals import signal_number
from riad.engine.host import cgroups, facts, pidfd
from riad.kernel.faults import Fault, Kind, conflict, invalid

DEFAULT_TIMEOUT = 10
_AFTER_KILL, _AFTER_ALL = 10.0, 20.0


async def stop(engine: Engine, container: Container, *, timeout: int | None = None, signal: str = "") -> bool:
    """Asks the container to end, kills it after `timeout` seconds (-1: never). False where it does not run."""
    number = signal_number(signal or container.settings.config.stop_signal or "SIGTERM")
    async with engine.registry.lock(container.id):
        return await _stop(engine, container, number=number, timeout=timeout)


async def _stop(engine: Engine, container: Container, *, number: int, timeout: int | None) -> bool:
    container = engine.registry.fresh(container)
    if container.phase is Phase.RESTARTING:
        give_up_restart(engine, container)
        return True
    if not container.phase.alive:
        return False
    container = engine.registry.change(container, stopped_by_user=True)
    if timeout is None:
        timeout = container.settings.config.stop_timeout
    companion = engine.registry.companion(container.id)
    companion.stopping = True
    try:
        await end(engine, container, number, DEFAULT_TIMEOUT if timeout is None else timeout)
    finally:
        companion.stopping = False
    return True


async def stop_for_change(engine: Engine, container: Container, *, timeout: int | None) -> None:
    """Ends it because it will be started again at once, changed; the caller holds its lock. `--rm` does not apply."""
    number = signal_number(container.settings.config.stop_signal or "SIGTERM")
    engine.registry.companion(container.id).restarting = True
    try:
        await _stop(engine, container, number=number, timeout=timeout)
    finally:
        engine.registry.companion(container.id).restarting = False


def give_up_restart(engine: Engine, container: Container) -> Container:
    """The container that waits to be restarted rests instead."""
    exits.cancel_restart(engine, container)
    container = engine.registry.change(container, phase=Phase.EXITED, stopped_by_user=True)
    settle(engine.registry.companion(container.id).ended, container.run.exit_code)
    return container


async def end(engine: Engine, container: Container, number: int, timeout: int) -> None:
    """Asks it to end, and kills it after `timeout` seconds (-1: never). The caller holds its lock."""
    await send(engine, container, number)
    if container.phase is Phase.PAUSED:
        await engine.runtime.resume(container.id)  # a frozen process cannot even die
    gone = engine.registry.companion(container.id).process_gone
    try:
        async with asyncio.timeout(None if timeout < 0 else timeout):
            await gone.wait()
            return
    except TimeoutError:
        pass
    await force_end(engine, container)


async def force_end(engine: Engine, container: Container) -> None:
    """Kills and waits until everything has been given back. Raises INTERNAL for processes that cannot be killed."""
    container = engine.registry.fresh(container)
    gone = engine.registry.companion(container.id).process_gone
    if container.run.pid and not gone.is_set():
        await send(engine, container, signals.SIGKILL)
        _let_go_on(engine, container)
    for patience in (_AFTER_KILL, _AFTER_ALL):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await gone.wait()
                return
        _kill_all(engine, container)
    raise Fault(
        Kind.INTERNAL,
        f"cannot stop container: {container.id}: tried to kill container, but did not receive an exit event",
    )


def _let_go_on(engine: Engine, container: Container) -> None:
    """Whoever froze or stopped them: a frozen process cannot even die, a stopped conmon tells no exit code."""
    cgroups.thaw(engine.group(container))
    if facts.same_process(container.run.conmon_pid, container.run.conmon_ticks):
        pidfd.send(container.run.conmon_pid, signals.SIGCONT)


def _kill_all(engine: Engine, container: Container) -> None:
    """What the end of the first process did not end: processes that share another's pid namespace, a hanging conmon."""
    for number in cgroups.processes(engine.group(container)):
        pidfd.send(number, signals.SIGKILL)
    if facts.same_process(container.run.conmon_pid, container.run.conmon_ticks):
        pidfd.send(container.run.conmon_pid, signals.SIGKILL)


async def send(engine: Engine, container: Container, number: int) -> None:
    """Signals the first process. One that has gone is no error: its end is being written down."""
    pidfd.send(container.run.pid, number)
    engine.announce(container, "kill", signal=str(int(number)))


async def kill(engine: Engine, container: Container, *, signal: str = "") -> None:
    """Raises CONFLICT where the container does not run."""
    container = engine.registry.fresh(container)
    try:
        number = signal_number(signal or "SIGKILL")
    except Fault as fault:
        raise invalid(f"cannot kill container: {container.name}: {fault.message}") from None
    if container.phase is Phase.RESTARTING and number == signals.SIGKILL:
        give_up_restart(engine, container)
        return
    if container.phase not in (Phase.RUNNING, Phase.PAUSED):
        raise conflict(f"cannot kill container: {container.name}: container {container.id} is not running")
    engine.registry.change(container, stopped_by_user=True)
    await send(engine, container, number)
    if number == signals.SIGKILL:
        await force_end(engine, container)


async def restart(engine: Engine, container: Container, *, timeout: int | None = None, signal: str = "") -> None:
    """Stops it if it runs, and starts it."""
    number = signal_number(signal or container.settings.config.stop_signal or "SIGTERM")
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        if container.phase is Phase.REMOVING:
            raise conflict("container is marked for removal and cannot be started")
        engine.registry.companion(container.id).restarting = True
        try:
            await _stop(engine, container, number=number, timeout=timeout)
        finally:
            engine.registry.companion(container.id).restarting = False
        container = await start.begin(engine, engine.registry.fresh(container))
        engine.announce(container, "restart")


async def pause(engine: Engine, container: Container) -> None:
    """Raises CONFLICT where it does not run or is paused already."""
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        if container.phase is Phase.PAUSED:
            raise conflict(f"Container {container.id} is already paused")
        if container.phase is not Phase.RUNNING:
            raise conflict(f"container {container.id} is not running")
        try:
            await engine.runtime.pause(container.id)
        except Fault:
            if not cgroups.processes(engine.group(container)):  # it has ended meanwhile
                raise conflict(f"container {container.id} is not running") from None
            raise
        engine.announce(engine.registry.change(container, phase=Phase.PAUSED), "pause")


async def unpause(engine: Engine, container: Container) -> None:
    """Raises CONFLICT where it is not paused."""
    async with engine.registry.lock(container.id):
        container = engine.registry.fresh(container)
        if container.phase is not Phase.PAUSED:
            raise conflict(f"Container {container.id} is not paused")
        await engine.runtime.resume(container.id)
        engine.announce(engine.registry.change(container, phase=Phase.RUNNING), "unpause")
