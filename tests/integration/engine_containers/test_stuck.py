"""One stuck container, helper, runtime or mount hangs nobody else: ps, inspect and other containers go on, and `rm -f`
takes it away."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine, wait_until
from engine_state import settles

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file is there, the runtime stops itself when it is started."""
    return tmp_path_factory.mktemp("runtime") / "stop"


@pytest.fixture(scope="module")
def engine(switch: Path) -> Iterator[RunningEngine]:
    real = shutil.which("runc")
    wrapper = switch.parent / "runc"
    wrapper.write_text(
        f'#!/bin/sh\n[ -e {switch} ] && echo $$ >> {switch.parent}/stopped && kill -STOP $$\nexec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{switch.parent}:{before}"
    try:
        with running_engine() as running:
            yield running
    finally:
        os.environ["PATH"] = before


@pytest.fixture(autouse=True)
def _tidy(engine: RunningEngine) -> Iterator[None]:
    yield
    engine.remove_everything()
    settles(engine)


def others_go_on(engine: RunningEngine) -> None:
    """Each would outlive the fixture's patience where it hung."""
    names = engine.out("ps", "-a", "--format", "{{.Names}}").split()
    engine.docker("inspect", *names)
    engine.docker("logs", names[0])
    engine.docker("info")
    assert engine.out("run", "--rm", BASE, "echo", "on") == "on"


def run(engine: RunningEngine) -> str:
    return engine.out("run", "-d", "--name", "box", BASE, "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done")


def conmon_of(engine: RunningEngine, container: str) -> int:
    return int((engine.root / "run/containers" / container / "conmon.pid").read_text())


def test_a_stopped_conmon_hangs_nobody_and_is_ended_with_its_container(engine: RunningEngine) -> None:
    container = run(engine)
    os.kill(conmon_of(engine, container), signal.SIGSTOP)
    others_go_on(engine)
    engine.docker("rm", "-f", "box")


def test_a_container_with_a_stopped_conmon_still_has_its_exit_code(engine: RunningEngine) -> None:
    container = run(engine)
    os.kill(conmon_of(engine, container), signal.SIGSTOP)
    engine.docker("stop", "-t", "1", "box")
    assert engine.out("inspect", "-f", "{{.State.ExitCode}}", "box") == "7"


def test_a_container_frozen_by_somebody_else_can_be_killed(engine: RunningEngine) -> None:
    container = run(engine)
    v1 = list(Path("/sys/fs/cgroup/freezer").glob(f"*/{container}/freezer.state"))
    file = v1[0] if v1 else next(Path("/sys/fs/cgroup").glob(f"*/{container}/cgroup.freeze"))
    file.write_text("FROZEN" if v1 else "1")
    others_go_on(engine)
    engine.docker("kill", "box")
    assert engine.out("inspect", "-f", "{{.State.Status}}", "box") == "exited"


def test_processes_in_the_hosts_pid_namespace_are_ended_with_their_container(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", "--pid", "host", BASE, "sh", "-c", "sleep 1000 & sleep 1000 & wait")
    engine.docker("rm", "-f", "box")


def test_a_hanging_runtime_hangs_only_what_waits_for_it(engine: RunningEngine, switch: Path) -> None:
    run(engine)
    engine.docker("create", "--name", "slow", BASE, "true")
    switch.touch()
    waiting = engine.background("start", "slow")
    stopped = switch.parent / "stopped"
    wait_until(stopped.exists)
    switch.unlink()
    others_go_on(engine)
    assert engine.out("inspect", "-f", "{{.State.Running}}", "slow") == "false"
    for number in stopped.read_text().split():
        os.kill(int(number), signal.SIGCONT)
    assert waiting.wait(60) == 0
    stopped.unlink()


@contextmanager
def hanging(target: Path) -> Iterator[Path]:
    """A file system whose server never answers, as NFS without its server."""
    target.mkdir()
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    done = ctypes.CDLL(None, use_errno=True).mount(b"hanging", os.fsencode(target), b"fuse", 0, options)
    if done != 0:
        os.close(device)
        pytest.skip("this kernel mounts no FUSE")
    try:
        yield target
    finally:
        os.close(device)  # whoever waits gets an error now
        subprocess.run(["umount", "--lazy", target], check=True)


def test_a_mount_that_never_answers_fails_what_needs_it_and_nothing_else(engine: RunningEngine, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    engine.docker("create", "--name", "box", "-v", f"{tmp_path}/share/x:/x", BASE, "true")
    with hanging(tmp_path / "share") as share:
        refused = engine.docker("run", "--rm", "-v", f"{share}/x:/x", BASE, "true", check=False)
        assert "does not answer" in refused.err
        assert "share" in refused.err
        assert "does not answer" in engine.docker("start", "box", check=False).err
        others_go_on(engine)
        assert engine.out("run", "--rm", "-v", f"{good}:/x", BASE, "echo", "on") == "on"
        engine.kill()
        engine.start()
        others_go_on(engine)
        engine.docker("rm", "box")


def test_many_that_hang_leave_threads_for_everybody_else(engine: RunningEngine, tmp_path: Path) -> None:
    run(engine)
    with hanging(tmp_path / "share") as share:
        clients = [engine.background("create", "-v", f"{share}/{number}:/x", BASE, "true") for number in range(40)]
        others_go_on(engine)
        assert all(client.wait(60) != 0 for client in clients)
        others_go_on(engine)
