"""The stock docker command, told where Riad's engine is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from riad.kernel.faults import unavailable


def engine_host() -> str:
    """DOCKER_HOST, the engine of `riad up`, or the one that runs alone, in this order."""
    from riad.cli import home
    from riad.cli.engine.asking import DEFAULT_HOST

    if told := os.environ.get("DOCKER_HOST"):
        return told
    ours = home.of().engine_socket
    return (
        f"unix://{ours}" if ours.exists() or not Path(DEFAULT_HOST.removeprefix("unix://")).exists() else DEFAULT_HOST
    )


def run_stock(host: str, arguments: Sequence[str]) -> NoReturn:
    """Becomes the docker command. Raises UNAVAILABLE where there is none."""
    os.execve(_program(), ["docker", *arguments], {**os.environ, "DOCKER_HOST": host})  # noqa: S606 -- the user's own


def call_stock(host: str, arguments: Sequence[str]) -> None:
    """Runs it, and ends with its code where it fails."""
    code = subprocess.call([_program(), *arguments], env={**os.environ, "DOCKER_HOST": host})
    if code:
        sys.exit(code)


def _program() -> str:
    found = shutil.which("docker")
    if found is None:
        raise unavailable(
            "the docker command is missing: install docker-cli (apt-get install docker.io, or docker-ce-cli)"
        )
    return found
