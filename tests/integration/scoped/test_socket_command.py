"""`riad engine socket`: one project's part of an engine, for the stock docker command."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine, wait_until

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@contextmanager
def scoped(engine: RunningEngine, path: Path, *flags: str, project: str = "demo/shop") -> Iterator[None]:
    command = [sys.executable, "-m", "riad.cli.main", "engine", "socket", "--engine", engine.host, "--listen", path]
    process = subprocess.Popen([*command, "--project", project, *flags], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().decode() == f"DOCKER_HOST=unix://{path}\n"
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert not path.exists()


def docker(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "DOCKER_HOST": f"unix://{path}"}
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, env=environ, timeout=60, check=False)


def test_a_project_has_its_own_things_within_its_limits(engine: RunningEngine, tmp_path: Path) -> None:
    engine.docker("run", "-d", "--name", "theirs", BASE, "sleep", "1000")
    one, two = tmp_path / "one.sock", tmp_path / "two.sock"
    limits = ("--max-containers", "2", "--memory", "64m", "--cpus", "0.5", "--pids", "30")
    with scoped(engine, one, *limits), scoped(engine, two, project="other/thing"):
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
        assert docker(one, "run", "--rm", BASE, "echo", "hello").stdout == "hello\n"
        assert docker(one, "run", "-d", "--name", "aa", BASE, "sleep", "1000").returncode == 0
        assert docker(one, "create", "--name", "bb", BASE, "true").returncode == 0
        assert "may have 2 containers" in docker(one, "create", BASE, "true").stderr
        assert "at most" in docker(one, "run", "-m", "32m", "--memory-swap", "1g", BASE, "true").stderr
        assert docker(one, "ps", "--format", "{{.Names}}").stdout == "aa\n"
        assert docker(two, "ps", "-aq").stdout == ""
        assert docker(two, "rm", "-f", "aa").stderr.count("No such container") == 1
        found = engine.out(
            "inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}", "aa"
        )
        assert found == f"{64 * 1024**2} 500000000 30"
        assert "cannot mount the host's files" in docker(one, "run", "-v", "/:/x", BASE, "true").stderr
        assert docker(one, "inspect", "theirs").returncode == 1
    wait_until(lambda: engine.out("inspect", "-f", "{{.State.Running}}", "aa") == "true")
    engine.docker("rm", "-f", "theirs", "aa", "bb")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--project", "../x"), "GROUP/NAME"),
        (("--project", "a/b", "--memory", "much"), "512m"),
        (("--project", "a/b", "--group", "no-such-group"), "no such group"),
        (("--project", "a/b", "--listen", "/etc/hostname"), "not a socket"),
    ],
)
def test_what_makes_no_sense_is_refused(flags: tuple[str, ...], told: str) -> None:
    command = [sys.executable, "-m", "riad.cli.main", "engine", "socket", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert told in done.stderr


def test_a_socket_that_somebody_serves_is_left_alone(engine: RunningEngine, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with scoped(engine, path):
        command = [sys.executable, "-m", "riad.cli.main", "engine", "socket", "--project", "a/b", "--listen", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert "somebody serves" in done.stderr
        assert docker(path, "ps").returncode == 0
