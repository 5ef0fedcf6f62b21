"""A container's life by the docker CLI: start, stop, kill, restart, pause, rename, wait, remove, list, inspect."""

from __future__ import annotations

import json
import time

import pytest

from engine_fixture import BASE, RunningEngine, wait_until

pytestmark = pytest.mark.root

_OBEDIENT = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


def _state(engine: RunningEngine, name: str) -> str:
    return engine.out("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name)


def test_stop_asks_then_kills(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "kind", BASE, "sh", "-c", _OBEDIENT)
    engine.docker("run", "-d", "--name", "deaf", BASE, "sleep", "60")
    engine.docker("stop", "kind")
    engine.docker("stop", "-t", "0", "deaf")
    assert (_state(engine, "kind"), _state(engine, "deaf")) == ("exited 0", "exited 137")


def test_start_and_stop_of_what_is_so_already_are_no_errors(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    engine.docker("start", "box")
    engine.docker("kill", "box")
    engine.docker("stop", "box")
    assert engine.docker("kill", "box", check=False).err.strip().endswith("is not running")


def test_a_stopped_container_keeps_its_files_and_its_name_until_removed(engine: RunningEngine) -> None:
    engine.docker("run", "--name", "box", BASE, "sh", "-c", "cat /kept 2>/dev/null; echo again > /kept")
    assert engine.out("start", "-a", "box") == "again"
    said = engine.docker("create", "--name", "box", BASE, "true", check=False)
    assert 'The container name "/box" is already in use' in said.err
    engine.docker("rm", "box")
    assert "No such container: box" in engine.docker("start", "box", check=False).err


def test_a_running_container_is_removed_only_by_force(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    assert "stop the container before removing or force remove" in engine.docker("rm", "box", check=False).err
    engine.docker("rm", "-f", "box")
    assert engine.out("ps", "-aq") == ""


def test_pause_holds_and_unpause_lets_go(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    engine.docker("pause", "box")
    assert engine.out("ps", "--format", "{{.Status}}").endswith("(Paused)")
    assert "is paused" in engine.docker("exec", "box", "true", check=False).err
    engine.docker("unpause", "box")
    engine.docker("exec", "box", "true")
    engine.docker("pause", "box")
    engine.docker("rm", "-f", "box")


def test_wait_gives_the_exit_code(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sh", "-c", "sleep 0.3; exit 9")
    assert engine.out("wait", "box") == "9"
    assert engine.out("wait", "box") == "9"


def test_restart_policies(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--restart", "on-failure:2", "--name", "fails", BASE, "false")
    engine.docker("run", "-d", "--restart", "always", "--name", "always", BASE, "true")
    wait_until(lambda: engine.out("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "fails") == "2 exited")
    wait_until(lambda: int(engine.out("inspect", "-f", "{{.RestartCount}}", "always")) >= 2)
    engine.docker("stop", "always")
    assert _state(engine, "always") == "exited 0"


def test_a_new_name_is_used_at_once(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "old", BASE, "sleep", "60")
    engine.docker("rename", "old", "new")
    assert engine.out("ps", "--format", "{{.Names}}") == "new"
    engine.docker("create", "--name", "old", BASE, "true")
    assert "already in use" in engine.docker("rename", "old", "new", check=False).err


def test_ps_filters(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "one", "--label", "a=1", BASE, "sleep", "60")
    engine.docker("run", "--name", "two", "--label", "a=2", BASE, "sh", "-c", "exit 4", check=False)

    def names(*flags: str) -> list[str]:
        return sorted(engine.out("ps", "-a", "--format", "{{.Names}}", *flags).split())

    assert names() == ["one", "two"]
    assert names("--filter", "label=a=1") == ["one"]
    assert names("--filter", "label=a") == ["one", "two"]
    assert names("--filter", "status=exited") == ["two"]
    assert names("--filter", "exited=4") == ["two"]
    assert names("--filter", "name=^o") == ["one"]
    assert names("--filter", f"ancestor={BASE}") == ["one", "two"]
    assert names("--filter", "since=one") == ["two"]
    assert names("-n", "1") == ["two"]
    assert "invalid filter 'odd'" in engine.docker("ps", "--filter", "odd=1", check=False).err


def test_inspect_tells_what_was_asked_for(engine: RunningEngine) -> None:
    engine.docker(
        "run", "-d", "--name", "box", "-p", "127.0.0.1::80", "-e", "A=b", "--label", "x=y", "-v", "/data",
        "--memory", "100m", "--restart", "unless-stopped", BASE, "sleep", "60",
    )  # fmt: skip
    seen = json.loads(engine.out("inspect", "box"))[0]
    assert seen["State"]["Running"] is True
    assert seen["State"]["Pid"] > 0
    assert "A=b" in seen["Config"]["Env"]
    assert seen["Config"]["Labels"] == {"x": "y"}
    assert seen["HostConfig"]["Memory"] == 100 * 2**20
    assert seen["HostConfig"]["RestartPolicy"] == {"Name": "unless-stopped", "MaximumRetryCount": 0}
    assert seen["Mounts"][0]["Destination"] == "/data"
    assert seen["NetworkSettings"]["Ports"]["80/tcp"][0]["HostIp"] == "127.0.0.1"
    assert seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]


def test_prune_removes_what_rests(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "runs", BASE, "sleep", "60")
    engine.docker("run", "--name", "rests", BASE, "true")
    assert "Deleted Containers" in engine.out("container", "prune", "-f")
    assert engine.out("ps", "-a", "--format", "{{.Names}}") == "runs"


def test_events_tell_the_life(engine: RunningEngine) -> None:
    engine.docker("run", "--rm", "--name", "told", BASE, "true")
    wait_until(lambda: engine.out("ps", "-aq") == "")
    soon = f"{time.time() + 1:.3f}"
    said = engine.out(
        "events", "--since", "5m", "--until", soon, "--filter", "container=told", "--format", "{{.Action}}"
    )
    actions = said.splitlines()
    assert [action for action in actions if action in ("create", "start", "die", "destroy")] == [
        "create", "start", "die", "destroy"
    ]  # fmt: skip


def test_top_shows_the_processes(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "61")
    assert "sleep 61" in engine.out("top", "box")
