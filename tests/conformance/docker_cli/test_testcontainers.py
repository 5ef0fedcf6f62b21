"""testcontainers, as test suites of other projects use it."""

from __future__ import annotations

import pytest

from engine_fixture import BASE, RunningEngine

pytestmark = pytest.mark.root
testcontainers = pytest.importorskip("testcontainers")


def test_a_container_is_started_waited_for_and_asked(engine: RunningEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    monkeypatch.setenv("DOCKER_HOST", engine.host)
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)  # its image comes from a registry
    box = DockerContainer(BASE).with_command(["sh", "-c", "echo starting; sleep 0.2; echo ready; sleep 600"])
    box = box.with_env("COLOR", "red").with_exposed_ports(8000).with_kwargs(init=True)
    with box.waiting_for(LogMessageWaitStrategy("ready")) as running:
        assert int(running.get_exposed_port(8000)) > 0
        assert running.exec(["sh", "-c", "echo $COLOR"]).output == b"red\n"
        out, _ = running.get_logs()
        assert out == b"starting\nready\n"
    assert engine.out("ps", "-aq") == ""
