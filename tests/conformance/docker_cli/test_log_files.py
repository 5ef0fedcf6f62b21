"""The files of a log: rotation, what is read over all of them, clearing, and what --log-opt may say."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, wait_until

pytestmark = pytest.mark.root


def _log(engine: RunningEngine, name: str) -> Path:
    return Path(engine.out("inspect", "-f", "{{.LogPath}}", name))


def _files(engine: RunningEngine, name: str) -> list[Path]:
    log = _log(engine, name)
    return sorted(path for path in log.parent.iterdir() if path.name.startswith("log.") and path.suffix != ".tmp")


def _ask(engine: RunningEngine, method: str, path: str) -> tuple[int, bytes]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine.socket))
        client = http.client.HTTPConnection("localhost")
        client.sock = connection
        client.request(method, path)
        answer = client.getresponse()
        return answer.status, answer.read()


_COUNT = "i=0; while [ $i -lt 6000 ]; do echo line $i; i=$((i+1)); done"


def test_full_files_are_put_away_and_the_oldest_dropped(engine: RunningEngine) -> None:
    engine.docker(
        "run", "--name", "box", "--log-opt", "max-size=20k", "--log-opt", "max-file=3", BASE, "sh", "-c",
        f"{_COUNT}; sleep 0.1; {_COUNT}; sleep 0.1; {_COUNT}; sleep 0.1; {_COUNT}; echo last",
    )  # fmt: skip
    assert len(_files(engine, "box")) <= 3
    lines = engine.out("logs", "box").splitlines()
    assert lines[-2:] == ["line 5999", "last"]
    assert len(lines) < 24_001
    numbers = [int(line.split()[1]) for line in lines[1:-1]]
    assert all(after == (before + 1) % 6000 for before, after in itertools.pairwise(numbers))
    tail = engine.out("logs", "--tail", "2000", "box").splitlines()
    assert tail == lines[-2000:]


def test_following_misses_nothing_when_files_are_put_away(engine: RunningEngine) -> None:
    engine.docker(
        "run", "-d", "--name", "box", "--log-opt", "max-size=100k", "--log-opt", "max-file=20", "--log-opt",
        "compress=true", BASE, "sh", "-c", f"{_COUNT}; sleep 0.2; {_COUNT}; sleep 0.2; {_COUNT}",
    )  # fmt: skip
    lines = engine.out("logs", "-f", "box").splitlines()
    assert lines == [f"line {number}" for number in range(6000)] * 3
    assert engine.out("logs", "box").splitlines() == lines
    assert len(_files(engine, "box")) > 1


def test_files_are_put_away_also_after_the_engine_was_killed(engine: RunningEngine) -> None:
    engine.docker(
        "run", "-d", "--name", "box", "--log-opt", "max-size=10k", "--log-opt", "max-file=2", BASE, "sh", "-c",
        f"while :; do {_COUNT}; done",
    )  # fmt: skip
    engine.kill()
    engine.start()
    before = {path.name for path in _files(engine, "box")}
    wait_until(lambda: not before & {path.name for path in _files(engine, "box")})
    assert len(_files(engine, "box")) <= 3
    engine.docker("kill", "box")
    numbers = [int(line.split()[1]) for line in engine.out("logs", "box").splitlines()[1:-1]]
    assert all(after == (before + 1) % 6000 for before, after in itertools.pairwise(numbers))


def test_a_log_can_be_cleared_while_it_is_followed(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    engine.docker("exec", "box", "sh", "-c", "echo first > /proc/1/fd/1")
    follower = engine.background("logs", "-f", "box")
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"first\n"
    wait_until(lambda: engine.out("logs", "box") == "first")
    assert _ask(engine, "POST", "/riad/containers/box/logs/clear") == (204, b"")
    assert engine.out("logs", "box") == ""
    engine.docker("exec", "box", "sh", "-c", "echo second > /proc/1/fd/1")
    wait_until(lambda: engine.out("logs", "box") == "second")
    engine.docker("kill", "box")
    assert follower.communicate(timeout=20)[0] == b"second\n"
    assert _ask(engine, "POST", "/riad/containers/box/logs/clear") == (204, b"")
    assert engine.out("logs", "box") == ""
    assert _ask(engine, "POST", "/riad/containers/nosuch/logs/clear")[0] == 404


def test_logs_are_cleared_by_command(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "box", BASE, "echo", "hi")
    assert _riad(engine, "docker", "logs", "box") == (0, "hi\n")
    assert _riad(engine, "docker", "logs", "--clear", "box") == (0, "box\n")
    assert _riad(engine, "docker", "logs", "box") == (0, "")
    code, said = _riad(engine, "docker", "logs", "--clear", "nosuch")
    assert code != 0
    assert "No such container: nosuch" in said


def _riad(engine: RunningEngine, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "riad.cli.main", *arguments]
    environ = {**engine.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode()


def test_details_show_what_was_chosen(engine: RunningEngine) -> None:
    engine.docker(
        "run", "--name", "box", "--label", "team=blue", "-e", "A=1 2", "--log-opt", "labels=team", "--log-opt",
        "env-regex=^A$", "--log-opt", "tag={{.Name}}", BASE, "echo", "hi",
    )  # fmt: skip
    assert engine.out("logs", "--details", "box") == "A=1+2,tag=box,team=blue hi"
    stamped = engine.out("logs", "--details", "-t", "box").split(" ", 1)
    assert stamped[1] == "A=1+2,tag=box,team=blue hi"


def test_moments_are_exact_to_the_nanosecond(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "box", BASE, "sh", "-c", "echo one; sleep 0.01; echo two; sleep 0.01; echo three")
    stamps = [line.split()[0] for line in engine.out("logs", "-t", "box").splitlines()]
    assert engine.out("logs", "--since", stamps[1], "box") == "two\nthree"
    assert engine.out("logs", "--until", stamps[1], "box") == "one\ntwo"
    assert engine.out("logs", "--since", "1h", "box") == "one\ntwo\nthree"
    assert engine.out("logs", "--until", "1h", "box") == ""
    assert "since" in engine.docker("logs", "--since", "yesterday", "box", check=False).err


def test_following_waits_for_a_container_that_never_ran(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "box", BASE, "echo", "late")
    follower = engine.background("logs", "-f", "box")
    engine.docker("start", "box")
    assert follower.communicate(timeout=20)[0] == b"late\n"
    assert engine.out("logs", "-f", "box") == "late"


def test_binary_output_comes_back_as_it_was(engine: RunningEngine) -> None:
    sent = random.Random(1).randbytes(100_000)
    (engine.root / "bytes").write_bytes(sent)
    engine.docker("create", "--name", "box", "-v", f"{engine.root}/bytes:/bytes", BASE, "cat", "/bytes")
    engine.docker("start", "box")
    engine.docker("wait", "box")
    status, body = _ask(engine, "GET", "/v1.41/containers/box/logs?stdout=1")
    assert status == 200
    data, place = b"", 0
    while place < len(body):
        size = int.from_bytes(body[place + 4 : place + 8], "big")
        data += body[place + 8 : place + 8 + size]
        place += 8 + size
    assert data == sent


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--log-opt", "x=1"], "unknown log opt 'x' for json-file log driver"),
        (["--log-driver", "nope"], "no log driver named 'nope' is registered"),
        (["--log-opt", "max-size=lots"], "invalid size: 'lots'"),
    ],
)
def test_odd_options_are_refused(engine: RunningEngine, arguments: list[str], sentence: str) -> None:
    said = engine.docker("create", *arguments, BASE, "true", check=False)
    assert said.code != 0
    assert sentence in said.err


def test_without_a_log_there_is_nothing_to_read(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "box", "--log-driver", "none", BASE, "echo", "hi")
    assert "configured logging driver does not support reading" in engine.docker("logs", "box", check=False).err
    assert json.loads(engine.out("inspect", "box"))[0]["LogPath"] == ""
