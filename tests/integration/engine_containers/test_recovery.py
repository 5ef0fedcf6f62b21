"""What a killed engine leaves is found again, finished or taken back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine, wait_until

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def module_engine() -> Iterator[RunningEngine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as engine:
        yield engine


@pytest.fixture
def engine(module_engine: RunningEngine) -> Iterator[RunningEngine]:
    yield module_engine
    if module_engine.process is not None and module_engine.process.poll() is not None:
        module_engine.start()
    module_engine.remove_everything()


def _pid(engine: RunningEngine, name: str) -> int:
    return int(engine.out("inspect", "-f", "{{.State.Pid}}", name))


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/status").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_a_container_outlives_its_engine_and_obeys_the_next(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", "-p", "127.0.0.1::80", "--network", "bridge", BASE, "sleep", "600")
    pid, port = _pid(engine, "box"), engine.out("port", "box")
    engine.kill()
    assert _lives(pid)
    engine.start()
    assert (_pid(engine, "box"), engine.out("port", "box")) == (pid, port)
    engine.docker("exec", "box", "true")
    engine.docker("stop", "-t", "0", "box")
    assert not _lives(pid)


def test_an_end_that_nobody_saw_is_told_later(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sh", "-c", "sleep 0.3; exit 7")
    pid = _pid(engine, "box")
    engine.kill()
    wait_until(lambda: not _lives(pid))
    engine.start()
    assert engine.out("wait", "box") == "7"


def test_a_policy_is_kept_for_an_end_that_nobody_saw(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--restart", "always", "--name", "box", BASE, "sleep", "600")
    pid = _pid(engine, "box")
    engine.kill()
    os.kill(pid, 9)
    wait_until(lambda: not _lives(pid))
    engine.start()
    wait_until(lambda: engine.out("inspect", "-f", "{{.State.Running}} {{.RestartCount}}", "box") == "true 1")


def test_rm_is_kept_for_an_end_that_nobody_saw(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--rm", "-v", "/data", "--name", "box", BASE, "sleep", "600")
    pid = _pid(engine, "box")
    engine.kill()
    os.kill(pid, 9)
    wait_until(lambda: not _lives(pid))
    engine.start()
    wait_until(lambda: engine.out("ps", "-aq") == "")
    wait_until(lambda: engine.out("volume", "ls", "-q") == "")


@pytest.mark.parametrize("phase", ["starting", "removing"])
def test_what_was_half_done_is_finished_or_taken_back(engine: RunningEngine, phase: str) -> None:
    container = engine.out("run", "-d", "--name", "box", BASE, "sleep", "600")
    pid = _pid(engine, "box")
    if phase == "removing":
        engine.docker("kill", "box")
    engine.kill()
    with sqlite3.connect(engine.root / "data" / "state.db") as state:
        state.execute("UPDATE container SET phase = ? WHERE id = ?", (phase, container))
        if phase == "starting":
            state.execute("UPDATE container SET run = '{}' WHERE id = ?", (container,))
    state.close()
    engine.start()
    if phase == "removing":
        assert engine.out("ps", "-aq") == ""
        assert not (engine.root / "data" / "containers" / container).exists()
        return
    assert not _lives(pid)
    assert engine.out("inspect", "-f", "{{.State.Status}}", "box") == "exited"
    engine.docker("start", "box")


def test_a_start_that_had_happened_before_it_was_written_counts(engine: RunningEngine) -> None:
    container = engine.out("run", "-d", "--name", "box", BASE, "sleep", "600")
    pid = _pid(engine, "box")
    engine.kill()
    with sqlite3.connect(engine.root / "data" / "state.db") as state:
        state.execute("UPDATE container SET phase = 'starting' WHERE id = ?", (container,))
    state.close()
    engine.start()
    assert _pid(engine, "box") == pid


def test_a_killed_conmon_takes_its_container_with_it(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "600")
    pid = _pid(engine, "box")
    conmon = int(
        next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "PPid" in line).split()[1]
    )
    os.kill(conmon, 9)
    assert engine.out("wait", "box") == "255"
    wait_until(lambda: not _lives(pid))


def test_killed_at_any_moment_nothing_is_left_over(engine: RunningEngine) -> None:
    for round_ in range(6):
        clients = [engine.background("run", "--rm", "-v", "/data", BASE, "true") for _ in range(3)]
        if round_ % 2:
            clients[0].wait()
        else:
            wait_until(lambda: engine.out("ps", "-aq") != "")
        engine.kill()
        for client in clients:
            client.communicate()
        engine.start()
        engine.remove_everything()
    assert engine.out("ps", "-aq") == ""
    assert str(engine.root) not in Path("/proc/self/mountinfo").read_text()
    assert os.listdir(engine.root / "run" / "containers") == []
    assert os.listdir(engine.root / "run" / "netns") == []
    assert os.listdir(engine.root / "data" / "containers") == []
    assert subprocess.run(["pgrep", "-f", f"conmon.*{engine.root}"], check=False, capture_output=True).stdout == b""


def test_two_engines_do_not_share_a_data_root(engine: RunningEngine) -> None:
    said = subprocess.run(
        [*map(str, engine.process.args[:4]), "--data-root", engine.root / "data", "--exec-root", engine.root / "run2",  # type: ignore[union-attr, index]
         "--host", f"unix://{engine.root}/second.sock"],
        env=engine.environ | {"PYTHONPATH": os.pathsep.join(__import__("sys").path)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert said.returncode == 1
    assert "is in use by another engine" in said.stderr
    assert "Traceback" not in said.stderr


def test_two_engines_live_side_by_side(engine: RunningEngine) -> None:
    with running_engine() as second:
        engine.docker("run", "-d", "--name", "same", BASE, "sleep", "60")
        second.docker("run", "-d", "--name", "same", BASE, "sleep", "60")
        assert len(engine.out("ps", "-q").split()) == len(second.out("ps", "-q").split()) == 1
        first_ip = engine.out("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "same")
        assert first_ip != second.out("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "same")


def test_nobody_else_on_the_host_reads_a_containers_environment(engine: RunningEngine) -> None:
    secret = "for-nobody-else"
    engine.docker("run", "-d", "--name", "box", "-e", f"TOKEN={secret}", BASE, "sleep", "600")
    files = [file for file in engine.root.rglob("*") if file.is_file() and file.stat().st_size]
    holding = [file for file in files if secret.encode() in _start_of(file)]
    assert {file.name for file in holding} >= {"config.json", "state.db-wal"}
    for file in holding:
        above = [file, *(folder for folder in file.parents if engine.root in folder.parents)]
        assert any(path.stat().st_mode & 0o007 == 0 for path in above), f"{file} is open to everybody"


def _start_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(2**22)
