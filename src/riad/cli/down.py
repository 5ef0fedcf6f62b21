"""`riad down`: stop the containers, then the processes, and say what was stopped."""

from __future__ import annotations

import os
import select
import signal

import click

from riad.cli import home as homes
from riad.cli.home import Home
from riad.cli.main import print_json
from riad.cli.supervisor import Process, process_of, read_supervision
from riad.kernel.faults import denied, unavailable

STOPPED_WITHIN = 60.0


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
        names += _stop_containers(home)
    # Without its supervisor (killed by hand) the parts are ended one by one.
    for process in [supervisor] if supervisor.alive() else reversed(parts.values()):
        _end(process)
    home.supervision.unlink(missing_ok=True)
    return names


def _stop_containers(home: Home) -> list[str]:
    import asyncio

    from riad.dockerclient.client import DockerClient
    from riad.kernel.faults import Fault

    async def stop_all() -> list[str]:
        async with DockerClient(f"unix://{home.engine_socket}") as docker:
            running = await docker.containers.list()
            await asyncio.gather(
                *(docker.containers.stop(entry["Id"], timeout=10) for entry in running), return_exceptions=True
            )
            return [str(entry["Names"][0]).lstrip("/") for entry in running]

    try:
        return asyncio.run(stop_all())
    except Fault:
        return []  # an engine that does not answer has nothing to say; its processes are ended all the same


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
