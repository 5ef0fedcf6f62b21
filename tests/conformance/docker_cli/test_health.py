"""Health checks and restart policies, also over the engine's death."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine_fixture import BASE, RunningEngine, wait_until

pytestmark = pytest.mark.root
_FAST = ("--health-interval", "100ms", "--health-timeout", "20s", "--health-retries", "2")


def _state(engine: RunningEngine, name: str = "box") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.out("inspect", "-f", "{{json .State}}", name))
    return found


def _status(engine: RunningEngine) -> str:
    return str(_state(engine)["Health"]["Status"])


def test_a_container_becomes_healthy_unhealthy_and_healthy_again(engine: RunningEngine) -> None:
    check = ("--health-cmd", "echo looked; test -e /well", *_FAST)
    engine.docker("run", "-d", "--name", "box", *check, BASE, "sh", "-c", "touch /well; exec sleep 60")
    wait_until(lambda: _status(engine) == "healthy")
    assert "(healthy)" in engine.out("ps", "--filter", "health=healthy")
    engine.docker("exec", "box", "rm", "/well")
    wait_until(lambda: _status(engine) == "unhealthy")
    assert "(unhealthy)" in engine.out("ps")
    health = _state(engine)["Health"]
    assert health["FailingStreak"] >= 2
    assert 1 < len(health["Log"]) <= 5
    assert health["Log"][-1]["ExitCode"] == 1
    assert health["Log"][-1]["Output"] == "looked\n"
    engine.docker("exec", "box", "touch", "/well")
    wait_until(lambda: _status(engine) == "healthy")
    which = ("--since", "1h", "--until", "0s", "-f", "container=box", "-f", "event=health_status")
    wait_until(lambda: len(engine.out("events", *which).splitlines()) >= 3)
    engine.docker("kill", "box")
    assert _status(engine) == "unhealthy"


def test_what_is_known_of_its_health_outlives_the_engine(engine: RunningEngine) -> None:
    check = ("--health-cmd", "echo $$; exit 7", "--health-interval", "300ms", "--health-retries", "3")
    engine.docker("run", "-d", "--name", "box", *check, BASE, "sleep", "60")
    wait_until(lambda: _status(engine) == "unhealthy")
    engine.kill()
    engine.start()
    after = _state(engine)["Health"]
    assert after["Status"] == "unhealthy"
    assert after["FailingStreak"] >= 3
    assert len(after["Log"]) >= 3
    wait_until(lambda: _state(engine)["Health"]["FailingStreak"] > after["FailingStreak"])


def test_a_probe_that_takes_too_long_ends_with_all_that_it_started(engine: RunningEngine) -> None:
    check = ("--health-cmd", "echo slow; sleep 1234 & sleep 1235", "--health-timeout", "300ms", "--health-retries", "1")
    engine.docker("run", "-d", "--name", "box", *check, BASE, "sleep", "60")
    wait_until(lambda: _status(engine) == "unhealthy")
    probe = _state(engine)["Health"]["Log"][0]
    assert probe["ExitCode"] == -1
    assert probe["Output"] == "Health check exceeded timeout (300ms): slow\n"
    assert "123" not in engine.out("top", "box", "-o", "pid,args")


def test_a_probe_that_cannot_run_says_why(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "other", "--no-healthcheck", BASE, "true")
    engine.docker(
        "run", "-d", "--name", "box", "--health-cmd", "true", "--health-start-period", "10s", BASE, "sleep", "60"
    )
    wait_until(lambda: _status(engine) == "healthy")
    assert "Health" not in _state(engine, "other")


@pytest.mark.parametrize("how", [["--restart", "on-unhealthy:3"], ["--label", "riad.restart=on-unhealthy"]])
def test_an_unhealthy_container_is_restarted(engine: RunningEngine, how: list[str]) -> None:
    script = "if test -e /once; then touch /well; fi; touch /once; trap 'exit 0' TERM; while :; do sleep 0.05; done"
    engine.docker("run", "-d", "--name", "box", *how, "--health-cmd", "test -e /well", *_FAST, BASE, "sh", "-c", script)
    wait_until(lambda: _state(engine)["Health"]["Status"] == "healthy")
    assert int(engine.out("inspect", "-f", "{{.RestartCount}}", "box")) == 1
    engine.docker("stop", "-t", "5", "box")
    assert _state(engine)["Status"] == "exited"


def test_restarts_on_unhealthy_end_at_their_maximum(engine: RunningEngine) -> None:
    engine.docker(
        "run", "-d", "--name", "box", "--restart", "on-unhealthy:2", "--health-cmd", "false", *_FAST, BASE,
        "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done",
    )  # fmt: skip
    wait_until(lambda: int(engine.out("inspect", "-f", "{{.RestartCount}}", "box")) == 2)
    wait_until(lambda: _state(engine)["Status"] == "running" and _status(engine) == "unhealthy")
    assert engine.out("inspect", "-f", "{{.RestartCount}}", "box") == "2"


def test_failures_are_restarted_so_often_and_not_more(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", "--restart", "on-failure:2", BASE, "sh", "-c", "exit 4")
    engine.docker("run", "-d", "--name", "well", "--restart", "on-failure", BASE, "true")
    wait_until(lambda: _state(engine)["Status"] == "exited")
    assert engine.out("inspect", "-f", "{{.RestartCount}} {{.State.ExitCode}}", "box") == "2 4"
    wait_until(lambda: _state(engine, "well")["Status"] == "exited")
    assert engine.out("inspect", "-f", "{{.RestartCount}}", "well") == "0"
    assert engine.out("wait", "box") == "4"


def test_what_the_engine_finds_at_rest_starts_as_its_policy_says(engine: RunningEngine) -> None:
    for name, policy in (("aa", "always"), ("us", "unless-stopped"), ("of", "on-failure"), ("no", "no")):
        engine.docker("run", "-d", "--name", name, "--restart", policy, BASE, "sleep", "60")
    engine.docker("kill", "aa", "us", "of", "no")
    engine.docker("run", "-d", "--name", "rr", "--restart", "unless-stopped", BASE, "sleep", "60")
    pid = engine.out("inspect", "-f", "{{.State.Pid}}", "rr")
    engine.kill()
    engine.start()
    wait_until(lambda: _state(engine, "aa")["Status"] == "running")
    assert [_state(engine, name)["Status"] for name in ("us", "of", "no")] == ["exited"] * 3
    assert engine.out("inspect", "-f", "{{.State.Pid}}", "rr") == pid


def test_odd_policies_are_refused(engine: RunningEngine) -> None:
    for policy, sentence in (
        ("sometimes", "invalid restart policy: unknown policy 'sometimes'"),
        ("always:3", "maximum retry count can only be used with 'on-failure'"),
    ):
        said = engine.docker("create", "--restart", policy, BASE, "true", check=False)
        assert sentence in said.err
