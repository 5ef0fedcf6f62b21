"""After a reboot of the host, and after an upgrade: what the engine's state says is there again, by its policy."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import ports
from engine_fixture import BASE, RunningEngine, running_engine, wait_until
from engine_state import instance, settles

pytestmark = pytest.mark.root
FIRST = Path(__file__).parents[2] / "cases/engine/state-first.sql"


@pytest.fixture
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def change(engine: RunningEngine, statement: str, *values: object) -> None:
    with sqlite3.connect(engine.root / "data/state.db") as state:
        state.execute(statement, values)
    state.close()


def reboot(engine: RunningEngine) -> None:
    """What a host forgets: processes, mounts, links, rules, control groups, and all below /run."""
    engine.kill()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            words = b""
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if words.startswith(b"/usr/bin/conmon") and str(engine.root).encode() in words:
                os.kill(int(folder.name), signal.SIGKILL)
    own = instance(engine)
    for group in (*Path("/sys/fs/cgroup").glob(f"riad-{own}"), *Path("/sys/fs/cgroup").glob(f"*/riad-{own}")):
        for procs in group.rglob("cgroup.procs"):
            for number in procs.read_text().split():
                os.kill(int(number), signal.SIGKILL)
        wait_until(lambda group=group: not any(procs.read_text() for procs in group.rglob("cgroup.procs")))
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[4].startswith(f"{engine.root}/"):
            subprocess.run(["umount", "--lazy", line.split()[4]], check=True)
    for link in Path("/sys/class/net").iterdir():
        if link.name.startswith(f"rv{own[:6]}") or (link / "ifalias").read_text().startswith(f"riad {own}"):
            subprocess.run(["ip", "link", "del", link.name], check=False, capture_output=True)
    subprocess.run(["nft", "delete", "table", "inet", f"riad_{own}"], check=True)
    shutil.rmtree(engine.root / "run")
    change(engine, "UPDATE engine_boot SET boot_id = 'the boot before'")


def state_of(engine: RunningEngine, name: str) -> str:
    return engine.out("inspect", "-f", "{{.State.Status}}", name)


def test_after_a_reboot_policies_say_what_starts(engine: RunningEngine) -> None:
    for name in ("always", "unless-stopped", "on-failure", "no"):
        engine.docker("run", "-d", "--name", name, "--restart", name, "-p", "127.0.0.1::80", BASE, "sleep", "1000")
    for name in ("always", "unless-stopped"):
        engine.docker("run", "-d", "--name", f"{name}-stopped", "--restart", name, BASE, "sleep", "1000")
        engine.docker("stop", "-t", "0", f"{name}-stopped")
    engine.docker("run", "-d", "--rm", "--name", "passing", "-v", "/loose", BASE, "sleep", "1000")
    engine.docker(
        "run", "-d", "--name", "writes", "-v", "kept:/kept", BASE, "sh", "-c", "echo a > /a; echo b > /kept/b"
    )
    engine.docker("wait", "writes")
    reboot(engine)
    engine.start()
    wait_until(
        lambda: [state_of(engine, name) for name in ("always", "unless-stopped", "on-failure")] == ["running"] * 3
    )
    wait_until(lambda: state_of(engine, "always-stopped") == "running")
    assert [state_of(engine, name) for name in ("unless-stopped-stopped", "no", "writes")] == ["exited"] * 3
    assert engine.docker("inspect", "passing", check=False).code == 1
    assert engine.out("port", "always").startswith("80/tcp -> 127.0.0.1:")
    engine.docker("cp", "writes:/a", engine.root / "a")
    assert engine.out("run", "--rm", "-v", "kept:/kept", BASE, "cat", "/kept/b") == "b"
    settles(engine)


def test_a_process_that_has_an_old_number_after_a_reboot_is_left_alone(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "1000")
    reboot(engine)
    with subprocess.Popen(["sleep", "1000"]) as innocent:
        change(
            engine,
            "UPDATE container SET run = json_set(run, '$.pid', ?, '$.conmon_pid', ?)",
            innocent.pid,
            innocent.pid,
        )
        engine.start()
        assert state_of(engine, "box") == "exited"
        assert innocent.poll() is None
        innocent.kill()


def test_the_state_of_the_first_release_is_read_and_works() -> None:
    """Every schema step since then runs on it; networks keep their addresses, containers their settings."""
    with running_engine() as engine:
        engine.stop()
        taken = [ports.free_port() for _ in range(2)]
        furnish(engine.root / "data", FIRST.read_text(), taken)
        engine.start()
        names = engine.out("ps", "-a", "--format", "{{.Names}}").split()
        assert sorted(names) == ["ended", "ends", "lasts", "rests"]
        wait_until(lambda: state_of(engine, "lasts") == "running")
        assert engine.out("port", "lasts") == f"80/tcp -> 127.0.0.1:{taken[0]}"
        assert engine.out("inspect", "-f", "{{.State.ExitCode}}", "ended") == "5"
        assert engine.out("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "own") == "10.231.99.0/24"
        assert engine.docker("start", "-a", "rests", check=False).code == 3
        assert engine.out("logs", "rests") == "b"
        assert engine.out("volume", "inspect", "-f", "{{.Labels.c}}", "kept") == "d"
        assert engine.out("run", "--rm", "--network", "own", "other:2", "echo", "works") == "works"
        settles(engine)


def furnish(data: Path, dump: str, taken: list[int]) -> None:
    shutil.rmtree(data)
    (data / "layers/1").mkdir(parents=True)
    (data / "volumes/kept/_data").mkdir(parents=True)
    with tarfile.open(data.parent / "base.tar") as archive:
        archive.extractall(data / "layers/1")
    text = dump.replace("@DATA@", str(data)).replace("@PORT1@", str(taken[0])).replace("@PORT2@", str(taken[1]))
    with sqlite3.connect(data / "state.db") as state:
        state.executescript(text)
    state.close()
