"""`riad down`: stop the processes and the containers, and say what was stopped."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
from pathlib import Path

import click

from riad.cli import containers
from riad.cli import home as homes
from riad.cli.home import Home
from riad.cli.main import print_json
from riad.cli.parts import parts_of
from riad.cli.supervisor import Process, process_of, read_supervision
from riad.kernel.faults import denied, unavailable

STOPPED_WITHIN = 120.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def down(*, as_json: bool) -> None:
    """Stop everything that `riad up` started; nothing stored is lost, services come back with `riad up`."""
    home = homes.of()
    stopped = stop(home)
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo(f"Stopped: {', '.join(stopped)}" if stopped else "Riad was not running")


def stop(home: Home) -> list[str]:
    """Returns the names of what was stopped. Raises UNAVAILABLE where something does not end."""
    found = read_supervision(home.supervision)
    if found is None:
        return []
    supervisor = process_of(found["supervisor"])
    parts = {name: process_of(entry) for name, entry in found["parts"].items()}
    if os.geteuid() != 0 and (supervisor.alive() or any(part.alive() for part in parts.values())):
        raise denied("Riad runs as root: sudo -E riad down")
    names = [name for name, process in parts.items() if process.alive()]
    if "engine" in names:
        names += containers.running(home.engine_socket)
    if supervisor.alive():
        _end(supervisor)
    else:
        _stop_parts(home, parts)
    _remove_run_files(home)
    return names


def _stop_parts(home: Home, parts: dict[str, Process]) -> None:
    """What the supervisor does, where it was killed."""
    for part in reversed(parts_of(home)):
        process = parts.get(part.name)
        if process is not None and process.alive():
            if part.before_stop is not None:
                part.before_stop()
            _end(process)


def _remove_run_files(home: Home) -> None:
    """Nothing of what is in the run folder means anything without the processes; others' files in it stay.

    Where something is still mounted there (a container that could not be ended), the folder stays as it is.
    """
    if any(Path(mount).is_relative_to(home.run) for mount in _mounts()):
        return
    for path in home.run_files:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        home.run.rmdir()


def _mounts() -> list[str]:
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def _end(process: Process) -> None:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if not process.alive():
            return
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], STOPPED_WITHIN)[0]:
            raise unavailable(f"process {process.pid} did not end within {STOPPED_WITHIN:g} s; see its log")
    finally:
        os.close(handle)
