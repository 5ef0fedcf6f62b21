"""Logs, exec and cp by the docker CLI."""

from __future__ import annotations

import time

import pytest

from engine_fixture import BASE, RunningEngine, Terminal, wait_until

pytestmark = pytest.mark.root


def test_logs_keep_streams_apart_and_count_lines_from_the_end(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "box", BASE, "sh", "-c", "seq 1 3000; echo err >&2; printf 'no end'")
    said = engine.docker("logs", "box")
    assert said.out.splitlines()[:2] == ["1", "2"]
    assert said.out.endswith("3000\nno end")
    assert said.err == "err\n"
    tail = engine.docker("logs", "--tail", "2", "box")
    assert "2999" not in tail.out
    assert len(engine.out("logs", "--tail", "1000", "box").splitlines()) in (999, 1000)
    assert engine.out("logs", "--tail", "0", "box") == ""


def test_logs_have_times_and_are_chosen_by_them(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "box", BASE, "sh", "-c", "echo one; sleep 1.1; echo two")
    first = engine.out("logs", "-t", "box").splitlines()[0]
    stamp, text = first.split(" ")
    assert text == "one"
    assert stamp.endswith("Z")
    assert len(stamp) == 30
    assert engine.out("logs", "--until", stamp[:20].rstrip(".") + ".999999999Z", "box").splitlines()[0] == "one"
    assert engine.out("logs", "--since", f"{time.time() - 3600:.0f}", "box") == "one\ntwo"
    assert engine.out("logs", "--since", f"{time.time() + 3600:.0f}", "box") == ""


def test_follow_shows_what_comes_and_ends_with_the_container(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sh", "-c", "echo one; sleep 0.5; echo two")
    assert engine.out("logs", "-f", "box") == "one\ntwo"


def test_logs_go_on_when_the_engine_was_killed(engine: RunningEngine) -> None:
    engine.docker(
        "run", "-d", "--name", "box", BASE, "sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done"
    )
    wait_until(lambda: engine.out("logs", "--tail", "1", "box") != "")
    engine.kill()
    engine.start()
    before = int(engine.out("logs", "--tail", "1", "box"))
    wait_until(lambda: int(engine.out("logs", "--tail", "1", "box")) > before)
    lines = engine.out("logs", "box").splitlines()
    assert lines == [str(number) for number in range(len(lines))]


def test_exec_runs_with_its_own_settings_and_exit_code(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", "-e", "A=1", BASE, "sleep", "60")
    said = engine.docker(
        "exec", "-e", "B=2", "-w", "/tmp", "-u", "app", "box", "sh", "-c", "echo $A$B; pwd; id -u; echo e >&2; exit 6",
        check=False,
    )  # fmt: skip
    assert (said.code, said.out.splitlines(), said.err) == (6, ["12", "/tmp", "1000"], "e\n")


def test_exec_passes_input_on(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    text = "x" * 300_000
    assert engine.docker("exec", "-i", "box", "wc", "-c", stdin=text).out.strip() == "300000"


def test_exec_of_nothing_is_refused_as_docker_does(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    said = engine.docker("exec", "box", "nosuch", check=False)
    assert said.code in (126, 127)
    assert "executable file not found" in said.err + said.out
    engine.docker("kill", "box")
    assert "is not running" in engine.docker("exec", "box", "true", check=False).err


def test_exec_at_a_terminal(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    with Terminal(engine, "exec", "-it", "box", "sh") as terminal:
        terminal.expect("# ")
        terminal.type("tty; echo $((20 + 3))\r")
        terminal.expect("/dev/pts/")
        terminal.expect("23")
        terminal.type("exit 3\r")
        assert terminal.wait() == 3


def test_a_detached_exec_goes_on_alone(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    engine.docker("exec", "-d", "box", "sh", "-c", "sleep 0.2; echo done > /done")
    wait_until(lambda: engine.docker("exec", "box", "cat", "/done", check=False).out == "done\n")


def test_files_are_copied_in_and_out(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    source = engine.root / "in.txt"
    source.write_text("copied")
    engine.docker("cp", source, "box:/tmp/in.txt")
    assert engine.out("exec", "box", "cat", "/tmp/in.txt") == "copied"
    engine.docker("kill", "box")
    engine.docker("cp", "box:/tmp/in.txt", engine.root / "out.txt")
    assert (engine.root / "out.txt").read_text() == "copied"
    engine.docker("cp", source, "box:/tmp/second.txt")
    engine.docker("start", "box")
    assert engine.out("exec", "box", "cat", "/tmp/second.txt") == "copied"
