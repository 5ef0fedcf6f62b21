"""`riad engine repair` finds what nothing owns, leaves everything else alone, and takes it away when told to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine_fixture import BASE, RunningEngine, running_engine
from engine_state import instance, settles, unexplained
from hostile import Asked, ask

pytestmark = pytest.mark.root
ID = "ab" * 32


def repair(engine: RunningEngine, *flags: str) -> tuple[int, dict[str, Any]]:
    folders = ["--data-root", engine.root / "data", "--exec-root", engine.root / "run"]
    command = [sys.executable, "-m", "riad.cli.main", "engine", "repair", "--json", "-H", engine.host, *folders, *flags]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def furnish(engine: RunningEngine) -> None:
    engine.docker("network", "create", "own")
    ports = ("-p", "127.0.0.1::80", "-p", "81/udp", "-v", "kept:/kept", "--network", "own")
    engine.docker("run", "-d", "--name", "runs", *ports, BASE, "sleep", "1000")
    engine.docker("run", "--name", "rests", BASE, "true")
    engine.docker("create", "--name", "new", BASE, "true")


def strew(engine: RunningEngine) -> None:
    data, run, own = engine.root / "data", engine.root / "run", instance(engine)
    for folder in (
        data / "containers" / ID / "root",
        data / "layers" / "99999",
        data / "volumes" / "lost",
        data / "blobs/sha256",
    ):
        folder.mkdir(parents=True, exist_ok=True)
    (data / "layers/99999/file").write_bytes(b"x" * 100_000)
    (data / "volumes/lost/data").write_text("precious")
    (data / "blobs/sha256" / ID).write_bytes(b"x" * 5000)
    for folder in (run / "containers" / ID, run / "runtime" / ID):
        folder.mkdir(parents=True)
    (run / "exits").mkdir(exist_ok=True)
    (run / "exits" / ID).write_text("0")
    subprocess.run(["mount", "-t", "tmpfs", "none", data / "containers" / ID / "root"], check=True)
    (run / "netns" / ID).touch()
    subprocess.run(["mount", "--bind", "/proc/self/ns/net", run / "netns" / ID], check=True)
    subprocess.run(["ip", "link", "add", f"rv{own[:6]}ff", "type", "bridge"], check=True)
    element = "{ tcp . 1 : 10.9.9.9 . 80 }"
    subprocess.run(["nft", f"add element inet riad_{own} published_any {element}"], check=True)
    for parent in groups(own):
        (parent / ID).mkdir()


def groups(own: str) -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [path for path in (*root.glob(f"riad-{own}"), *root.glob(f"*/riad-{own}")) if not path.is_symlink()]


KINDS = {
    "container folder", "layer", "blob", "run folder", "runtime state", "exit code", "mount", "network namespace",
    "link", "firewall element", "control group",
}  # fmt: skip


@pytest.mark.parametrize("running", [True, False], ids=["running", "resting"])
def test_orphans_are_found_and_removed_and_all_else_stays(running: bool) -> None:
    with running_engine() as engine:
        furnish(engine)
        settles(engine)
        assert repair(engine) == (0, {"orphans": []})
        strew(engine)
        if not running:
            engine.kill()
        code, found = repair(engine)
        assert code == 0
        assert {row["kind"] for row in found["orphans"]} == KINDS | {"volume folder"}
        assert next(row["size"] for row in found["orphans"] if row["kind"] == "layer") >= 100_000
        code, done = repair(engine, "--yes")
        assert {row["kind"] for row in done["removed"]} == KINDS
        assert code == 1
        assert "--volumes" in done["complaints"][0]
        assert (engine.root / "data/volumes/lost/data").read_text() == "precious"
        assert repair(engine, "--yes", "--volumes")[0] == 0
        assert repair(engine) == (0, {"orphans": []})
        if not running:
            engine.start()
        assert engine.out("ps", "--format", "{{.Names}}") == "runs"
        engine.docker("exec", "runs", "true")
        engine.docker("start", "rests", "new")
        assert unexplained(engine) == []


def test_an_engine_at_work_keeps_what_it_works_on() -> None:
    with running_engine() as engine:
        clients = [engine.background("run", "--rm", "-p", "80", BASE, "sh", "-c", "sleep 0.2") for _ in range(8)]
        while any(client.poll() is None for client in clients):
            assert repair(engine)[1] == {"orphans": []}
        for client in clients:
            client.communicate()
            assert client.returncode == 0


def test_the_data_of_a_running_engine_is_not_repaired_behind_its_back() -> None:
    with running_engine() as engine:
        command = [sys.executable, "-m", "riad.cli.main", "engine", "repair", "-H", f"unix://{engine.root}/other.sock"]
        done = subprocess.run([*command, "--data-root", engine.root / "data"], capture_output=True, check=False)
        assert done.returncode == 1
        assert b"in use by another engine" in done.stderr


def test_a_folder_without_an_engine_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "riad.cli.main", "engine", "repair", "-H", f"unix://{tmp_path}/other.sock"]
    done = subprocess.run([*command, "--data-root", tmp_path / "none"], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"no engine's data in" in done.stderr
    assert not (tmp_path / "none").exists()


def test_what_the_engine_says_it_uses_adds_up_to_what_is_used() -> None:
    with running_engine() as engine:
        engine.docker("run", "--name", "writes", BASE, "sh", "-c", "head -c 5000000 /dev/urandom > /big")
        engine.docker(
            "run", "--name", "fills", "-v", "vol:/v", BASE, "sh", "-c", "head -c 3000000 /dev/urandom > /v/big"
        )
        said = json.loads(ask(engine.daemons_socket, Asked("GET", b"/v1.43/system/df", b"")).start)
        told = {
            "layers": said["LayersSize"],
            "containers": sum(entry.get("SizeRw", 0) for entry in said["Containers"]),
            "volumes": sum(entry["UsageData"]["Size"] for entry in said["Volumes"]),
        }
        for name, size in told.items():
            used = subprocess.run(["du", "-s", "-B1", engine.root / "data" / name], capture_output=True, check=True)
            folders_and_logs = 64 * 1024
            assert abs(int(used.stdout.split()[0]) - size) < folders_and_logs, (name, size, used.stdout)
