"""`riad engine socket`: a part of an engine for somebody who must not have the whole of it."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import re
import signal
import tempfile
from pathlib import Path

import click

from riad.cli.engine.asking import DEFAULT_HOST
from riad.kernel.faults import conflict, invalid

_PROJECT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SIZE = re.compile(r"(\d+)([bkmg]?)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


@click.command("socket")
@click.option("--project", required=True, metavar="GROUP/NAME", help="Whose things are shown and made.")
@click.option(
    "--listen", type=click.Path(path_type=Path), help="The socket. [default: /run/riad/sockets/GROUP-NAME.sock]"
)
@click.option("--engine", "host", default=DEFAULT_HOST, show_default=True, help="Riad's, Docker's or Podman's engine.")
@click.option("--registry", default="localhost:8080", show_default=True, help="HOST[:PORT] of the project's images.")
@click.option("--group", default="", help="Group that may use the socket, besides its owner.")
@click.option("--max-containers", type=click.IntRange(0), default=0, help="How many containers at most.")
@click.option("--memory", default="0", help="Most memory of one container, such as 512m.")
@click.option("--cpus", type=click.FloatRange(0), default=0.0, help="Most processors of one container, such as 1.5.")
@click.option("--pids", type=click.IntRange(0), default=0, help="Most processes of one container.")
def scoped_socket(
    *,
    project: str,
    listen: Path | None,
    host: str,
    registry: str,
    group: str,
    max_containers: int,
    memory: str,
    cpus: float,
    pids: int,
) -> None:
    """Serve a Docker socket whose view and rights end at what --project made by it.

    No folders of the host, no privileges, no namespaces of the host or of others, no other project's images. 0 or
    nothing for a limit means none. Runs until it is interrupted; what was made stays.
    """
    from riad.dockerclient.scoped.quota import NANO, Quota
    from riad.dockerclient.scoped.scope import Scope

    if not _PROJECT.fullmatch(project):
        raise invalid(f"--project {project}: expected GROUP/NAME of letters, digits, dots, dashes and underscores")
    quota = Quota(max_containers, size(memory), round(cpus * NANO), pids)
    path = (listen or Path("/run/riad/sockets") / f"{project.replace('/', '-')}.sock").absolute()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(host, Scope(registry, project, None, quota), path, group))


def size(text: str) -> int:
    """Bytes of `512m`, `1g`, `4096`. Raises INVALID."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise invalid(f"--memory {text}: expected a number with b, k, m or g, such as 512m")
    return int(found[1]) * _UNITS[found[2].lower()]


async def _serve(host: str, scope: object, path: Path, group: str) -> None:
    from riad.dockerclient.scoped.proxy import ScopedProxy
    from riad.dockerclient.scoped.scope import Scope
    from riad.dockerclient.scoped.sockets import serve

    assert isinstance(scope, Scope)
    owner = _group(group)
    path.parent.mkdir(parents=True, exist_ok=True)
    await _clear_stale(path)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    with tempfile.TemporaryDirectory(prefix="riad-socket-") as spool:
        proxy = ScopedProxy(host, scope, Path(spool))
        runner = await serve(proxy, path)
        try:
            if owner is not None:
                os.chown(path, -1, owner)
                path.chmod(0o660)
            click.echo(f"DOCKER_HOST=unix://{path}")
            await stopping.wait()
        finally:
            await runner.cleanup()
            await proxy.close()
            path.unlink(missing_ok=True)


def _group(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid if name else None
    except KeyError:
        raise invalid(f"--group {name}: there is no such group on this host") from None


async def _clear_stale(path: Path) -> None:
    """Removes the socket of a process that is gone. Raises CONFLICT where one answers, or a file is in the way."""
    if not path.exists():
        return
    if not path.is_socket():
        raise conflict(f"{path} exists and is not a socket; choose another --listen")
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        path.unlink(missing_ok=True)
        return
    writer.close()
    raise conflict(f"somebody serves {path} already; choose another --listen")
