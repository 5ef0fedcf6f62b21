"""The supervisor with real processes: `sleep` and `sh` stand for the daemons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riad.cli.supervisor import LARGEST_LOG, Process, process_of, read_supervision, start_time

PROGRAM = """
import sys
from pathlib import Path
from riad.cli.supervisor import Part, Supervisor, process_of, read_supervision
folder = Path(sys.argv[1])
def note():
    two = read_supervision(folder / "supervision.json")["parts"].get("two")
    (folder / "before one stopped").write_text("two ran" if two and process_of(two).alive() else "two did not run")
parts = [
    Part(name="one", command=("sleep", "1000"), log=folder / "one.log", before_stop=note),
    Part(name="two", command=("sleep", "1001"), log=folder / "two.log", waits_for=folder / "go"),
]
Supervisor(parts, folder / "supervision.json", about={"port": 1}).run()
"""


def eventually(check: Callable[[], Any], within: float = 10.0) -> Any:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.01)
    raise AssertionError("it never came")


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisors: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        self.supervisors.append(subprocess.Popen([sys.executable, "-c", PROGRAM, str(self.folder)]))
        return self.supervisors[-1]

    def part(self, name: str) -> Process | None:
        entry = (read_supervision(self.folder / "supervision.json") or {}).get("parts", {}).get(name)
        found = process_of(entry) if entry else None
        return found if found and found.alive() else None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    for supervisor in world.supervisors:
        supervisor.terminate()
        supervisor.wait(10)
    for name in ("one", "two"):
        if left := world.part(name):
            os.kill(left.pid, signal.SIGKILL)


def test_a_part_that_dies_is_started_again(world: World) -> None:
    world.start()
    first = eventually(lambda: world.part("one"))
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: (found := world.part("one")) and found != first)
    text = json.loads((world.folder / "supervision.json").read_text())
    assert text["parts"]["one"]["restarts"] == 1


def test_a_log_that_has_grown_too_long_begins_anew(world: World) -> None:
    world.start()
    first = eventually(lambda: world.part("one"))
    os.truncate(world.folder / "one.log", LARGEST_LOG + 1)
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: (world.folder / "one.log").stat().st_size == 0)
    assert (world.folder / "one.log.1").stat().st_size == LARGEST_LOG + 1


def test_a_part_waits_for_its_file(world: World) -> None:
    world.start()
    eventually(lambda: world.part("one"))
    assert world.part("two") is None
    (world.folder / "go").touch()
    eventually(lambda: world.part("two"))


def test_stopping_ends_every_part_and_leaves_no_file(world: World) -> None:
    supervisor = world.start()
    part = eventually(lambda: world.part("one"))
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert not part.alive()
    assert not (world.folder / "supervision.json").exists()


def test_what_comes_before_a_stop_is_done_when_later_parts_have_stopped(world: World) -> None:
    supervisor = world.start()
    (world.folder / "go").touch()
    two = eventually(lambda: world.part("two"))
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert not two.alive()
    assert (world.folder / "before one stopped").read_text() == "two did not run"


def test_a_killed_supervisor_stops_nothing_and_its_successor_takes_over(world: World) -> None:
    first = world.start()
    part = eventually(lambda: world.part("one"))
    first.kill()
    first.wait(10)
    assert part.alive()
    second = world.start()

    def adopted() -> bool:
        found = read_supervision(world.folder / "supervision.json")
        return found is not None and found["supervisor"]["pid"] == second.pid

    (world.folder / "go").touch()  # starting the second part makes the successor write down what it keeps
    eventually(adopted)
    assert world.part("one") == part
    os.kill(part.pid, signal.SIGKILL)
    eventually(lambda: (found := world.part("one")) and found != part)


def test_a_process_that_reuses_a_pid_is_not_taken_for_the_old_one() -> None:
    own = start_time(os.getpid())
    assert own is not None
    assert Process(os.getpid(), own).alive()
    assert not Process(os.getpid(), own - 1).alive()
