"""Compose, the old (1.29, in Python) and the new (2, a plugin in Go), where they are installed or were fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import peers
from engine_fixture import RunningEngine, Said, engines, running_engine


@dataclass(frozen=True, slots=True)
class Compose:
    """One version of Compose on a project folder of its own."""

    version: int
    program: str
    engine: RunningEngine
    folder: Path

    def write(self, text: str) -> None:
        (self.folder / "docker-compose.yml").write_text(text)

    def __call__(self, *arguments: str, check: bool = True, stdin: str = "") -> Said:
        done = subprocess.run(
            [self.program, "-p", "proj", *arguments],
            cwd=self.folder,
            env={**self.engine.environ, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        if check and said.code != 0:
            raise AssertionError(f"compose {' '.join(arguments)}: {said}\n{self.engine.log()}")
        return said

    def out(self, *arguments: str) -> str:
        return self(*arguments).out.strip()

    def container(self, service: str, number: int = 1) -> str:
        """Its name, as this version builds names."""
        separator = "_" if self.version == 1 else "-"
        return separator.join(("proj", service, str(number)))


def programs() -> dict[int, str]:
    """Version → program."""
    found = {}
    candidates = (shutil.which("docker-compose"), *map(str, filter(None, [peers.plugins().get("compose")])))
    for program in filter(None, candidates):
        said = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=False).stdout
        found.setdefault(1 if said.startswith("1.") else 2, program)
    return found


@pytest.fixture(scope="module", params=engines())
def module_engine(request: pytest.FixtureRequest) -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine(kind=request.param) as engine:
        yield engine


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def compose(request: pytest.FixtureRequest, module_engine: RunningEngine, tmp_path: Path) -> Iterator[Compose]:
    program = programs().get(request.param)
    if program is None:
        pytest.skip(f"Compose {request.param} is not here (apt-get install docker-compose, or bench/peers.py fetch)")
    found = Compose(request.param, program, module_engine, tmp_path)
    yield found
    if (tmp_path / "docker-compose.yml").exists():
        found("down", "-v", "--remove-orphans", "-t", "0")
