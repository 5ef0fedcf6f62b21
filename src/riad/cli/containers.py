"""The containers of a Riad that is being stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riad.kernel.faults import Fault

if TYPE_CHECKING:
    from riad.dockerclient.client import DockerClient

GRACE = 10
"""Seconds that a container may take to end by itself."""
_DEADLINE = 40.0
_JOB_LABELS = ("riad.job", "riad.scoped.job")


def running(socket: Path) -> list[str]:
    """Their names; none where no engine answers."""

    async def ask(docker: DockerClient) -> list[str]:
        return [str(entry["Names"][0]).lstrip("/") for entry in await docker.containers.list()]

    return _with_engine(socket, ask) or []


def stop_all(socket: Path) -> None:
    """Stops every container, and removes those of jobs: a job whose container is gone is tried again at the next start.

    Comes after the server has ended, which would start others, and before the engine does, which would leave them
    running. Where no engine answers there is nobody to ask; its processes are ended all the same.
    """

    async def stop(docker: DockerClient) -> None:
        await asyncio.gather(
            *(_end(docker, entry) for entry in await docker.containers.list(stopped=True)), return_exceptions=True
        )

    _with_engine(socket, stop)


async def _end(docker: DockerClient, entry: dict[str, Any]) -> None:
    if any(label in (entry.get("Labels") or {}) for label in _JOB_LABELS):
        await docker.containers.remove(entry["Id"], force=True)
    elif entry.get("State") not in ("created", "exited", "dead"):
        await docker.containers.stop(entry["Id"], timeout=GRACE)


def _with_engine(socket: Path, work: Any) -> Any:
    from riad.dockerclient.client import DockerClient

    async def run() -> Any:
        async with asyncio.timeout(_DEADLINE), DockerClient(f"unix://{socket}") as docker:
            return await work(docker)

    try:
        return asyncio.run(run())
    except (Fault, TimeoutError):
        return None
