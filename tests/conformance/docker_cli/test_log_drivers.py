"""Logs that go elsewhere: to a syslog daemon of the test's own, also while it or the engine is away."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import BASE, DEADLINE, RunningEngine, wait_until

pytestmark = pytest.mark.root


@contextlib.contextmanager
def _udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(DEADLINE)
        yield listening


def test_lines_arrive_over_udp_and_docker_logs_shows_them_too(engine: RunningEngine) -> None:
    with _udp() as listening:
        address = f"udp://127.0.0.1:{listening.getsockname()[1]}"
        engine.docker(
            "run", "--name", "box", "--log-driver", "syslog", "--log-opt", f"syslog-address={address}", "--log-opt",
            "syslog-format=rfc5424", "--log-opt", "tag={{.Name}}", BASE, "sh", "-c", "echo one; echo two >&2; printf x",
        )  # fmt: skip
        got = sorted(listening.recv(4096).decode() for _ in range(3))
    assert [line.split(" ", 1)[0] for line in got] == ["<27>1", "<30>1", "<30>1"]
    assert [line.rsplit(" ", 1)[1] for line in got] == ["two\n", "one\n", "x\n"]
    assert " box " in got[0]
    said = engine.docker("logs", "box")
    assert (said.out, said.err) == ("one\nx", "two\n")
    assert engine.out("inspect", "-f", "{{.LogPath}}", "box") == ""


def test_nothing_is_lost_when_the_daemon_there_or_the_engine_is_away(engine: RunningEngine) -> None:
    path = engine.root / "syslog.sock"
    count = "i=0; while :; do i=$((i+1)); echo n$i; sleep 0.02; done"
    with _unix(path) as listening:
        engine.docker(
            "run", "-d", "--name", "box", "--log-driver", "syslog", "--log-opt", f"syslog-address=unix://{path}",
            BASE, "sh", "-c", count,
        )  # fmt: skip
        got = _numbers(listening, until=5)
    engine.kill()
    engine.start()
    before = len(engine.out("logs", "box").splitlines())
    wait_until(lambda: len(engine.out("logs", "box").splitlines()) > before + 5)
    with _unix(path) as listening:
        got |= _numbers(listening, until=before + 5)
    # what was in the closed connection's hands may be lost, as always with sockets; nothing else is
    assert len(set(range(1, before + 5)) - got) <= 25


def _numbers(listening: socket.socket, *, until: int) -> set[int]:
    got: set[int] = set()
    while not got:  # the first connection only asks whether somebody is there
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as lines:
            while (not got or max(got) < until) and (line := lines.readline()):
                got.add(int(line.rsplit(b" n", 1)[1]))
    return got


@contextlib.contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen(1)
        listening.settimeout(DEADLINE)
        yield listening
    path.unlink()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["syslog", "syslog-address=unix:///nowhere/log"],
            "failed to initialize logging driver: dial unix /nowhere/log",
        ),
        (["syslog", "syslog-address=nonsense"], "syslog-address should be in form proto://address"),
        (["syslog", "syslog-tls-cert=/x"], "syslog-tls-cert"),
        (["syslog", "x=y"], "unknown log opt 'x' for syslog log driver"),
        (["journald", "x=y"], "unknown log opt 'x' for journald log driver"),
    ],
)
def test_places_that_cannot_be_reached_are_refused(engine: RunningEngine, options: list[str], sentence: str) -> None:
    said = engine.docker("run", "--rm", "--log-driver", options[0], "--log-opt", options[1], BASE, "true", check=False)
    assert said.code == 125
    assert sentence in said.err


@pytest.mark.skipif(Path("/run/systemd/journal/socket").exists(), reason="there is a journal here")
def test_a_journal_that_is_not_there_is_said(engine: RunningEngine) -> None:
    said = engine.docker("run", "--rm", "--log-driver", "journald", BASE, "true", check=False)
    assert "failed to initialize logging driver: journald is not enabled on this host" in said.err


def test_a_cache_can_be_left_out(engine: RunningEngine) -> None:
    with _udp() as listening:
        address = f"udp://127.0.0.1:{listening.getsockname()[1]}"
        engine.docker(
            "run", "--name", "box", "--log-driver", "syslog", "--log-opt", f"syslog-address={address}", "--log-opt",
            "cache-disabled=true", BASE, "echo", "hi",
        )  # fmt: skip
        assert listening.recv(4096).endswith(b": hi\n")
    assert "does not support reading" in engine.docker("logs", "box", check=False).err
