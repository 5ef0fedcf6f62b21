"""Compose's verbs against the engine: each on a project of a few small services."""

from __future__ import annotations

import json
import socket

import pytest

from engine_fixture import BASE, wait_until

from .conftest import Compose

pytestmark = pytest.mark.root

_PROJECT = f"""
services:
  db:
    image: {BASE}
    command: sh -c "touch /ready; exec sleep 600"
    init: true
    healthcheck:
      test: ["CMD", "test", "-e", "/ready"]
      interval: 1s
      retries: 10
    networks: {{back: {{aliases: [database]}}}}
    volumes: ["data:/data"]
  web:
    image: {BASE}
    command: ["sleep", "600"]
    init: true
    depends_on: {{db: {{condition: service_healthy}}}}
    environment: {{COLOR: "${{COLOR:-red}}"}}
    labels: {{tier: front}}
    ports: ["127.0.0.1::8000"]
    networks: [back, front]
    restart: unless-stopped
    tmpfs: [/scratch]
    ulimits: {{nofile: 4096}}
networks: {{back: , front: }}
volumes: {{data: }}
"""


def test_a_project_goes_up_is_looked_at_and_goes_down(compose: Compose) -> None:
    compose.write(_PROJECT)
    compose("up", "-d")
    docker = compose.engine
    assert sorted(compose.out("ps", "--services").split()) == ["db", "web"]
    assert len(compose.out("ps", "-q").split()) == 2
    assert docker.out("inspect", "-f", "{{.State.Health.Status}}", compose.container("db")) == "healthy"
    assert compose.out("exec", "-T", "web", "sh", "-c", "echo $COLOR") == "red"
    assert "database" in compose.out("exec", "-T", "web", "getent", "hosts", "database")
    assert compose.out("exec", "-T", "web", "sh", "-c", "ulimit -n") == "4096"
    assert "sleep 600" in compose.out("top", "web")
    assert compose.out("port", "web", "8000").startswith("127.0.0.1:")
    assert BASE.partition(":")[0] in compose.out("images")
    compose("down")
    assert docker.out("ps", "-aq", "--filter", "label=com.docker.compose.project=proj") == ""
    assert docker.out("network", "ls", "-q", "--filter", "label=com.docker.compose.project=proj") == ""
    assert docker.out("volume", "ls", "-q") == "proj_data"


def test_up_again_changes_only_what_was_changed_and_keeps_the_data(
    compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose.write(_PROJECT)
    compose("up", "-d")
    compose("exec", "-T", "db", "sh", "-c", "echo kept > /data/file")
    before = {name: compose.out("ps", "-q", name) for name in ("db", "web")}
    compose("up", "-d")
    assert {name: compose.out("ps", "-q", name) for name in before} == before
    monkeypatch.setenv("COLOR", "blue")
    compose("up", "-d", "-t", "0")
    assert compose.out("ps", "-q", "db") == before["db"]
    assert compose.out("ps", "-q", "web") != before["web"]
    assert compose.out("exec", "-T", "web", "sh", "-c", "echo $COLOR") == "blue"
    compose("up", "-d", "-t", "0", "--force-recreate")
    assert compose.out("ps", "-q", "db") != before["db"]
    assert compose.out("exec", "-T", "db", "cat", "/data/file") == "kept"


def test_services_are_stopped_started_held_killed_and_removed(compose: Compose) -> None:
    compose.write(_PROJECT)
    compose("up", "-d")
    docker = compose.engine

    def state() -> str:
        return docker.out("inspect", "-f", "{{.State.Status}}", compose.container("web"))

    compose("pause", "web")
    assert state() == "paused"
    compose("unpause", "web")
    compose("stop", "-t", "1", "web")
    assert state() == "exited"
    compose("start", "web")
    assert state() == "running"
    began = docker.out("inspect", "-f", "{{.State.StartedAt}}", compose.container("web"))
    compose("restart", "-t", "0", "web")
    assert docker.out("inspect", "-f", "{{.State.StartedAt}}", compose.container("web")) != began
    compose("kill", "-s", "SIGKILL", "web")
    wait_until(lambda: state() == "exited")
    compose("rm", "-f", "web")
    assert compose.container("web") not in docker.out("ps", "-a", "--format", "{{.Names}}")


def test_logs_tell_which_service_spoke(compose: Compose) -> None:
    compose.write(
        f"services: {{one: {{image: {BASE}, command: echo first}}, two: {{image: {BASE}, command: echo second}}}}"
    )
    assert "first" in compose("up").out
    said = compose.out("logs", "--no-color")
    assert "first" in said
    assert "second" in said
    assert "second" not in compose.out("logs", "--no-color", "one")
    assert len(compose.out("logs", "--no-color", "--tail", "1", "-t", "two").splitlines()[-1].split("|")) == 2


def test_run_starts_what_it_needs_and_gives_its_exit_code(compose: Compose) -> None:
    compose.write(_PROJECT)
    assert compose("run", "--rm", "-T", "web", "echo", "once").out.strip().endswith("once")
    assert compose("run", "--rm", "-T", "--no-deps", "-e", "X=y", "web", "sh", "-c", "exit 7", check=False).code == 7
    assert compose.engine.out("inspect", "-f", "{{.State.Health.Status}}", compose.container("db")) == "healthy"


def test_a_service_is_scaled(compose: Compose) -> None:
    compose.write(f"services: {{box: {{image: {BASE}, command: sleep 600, init: true}}}}")
    compose("up", "-d", "--scale", "box=3")
    assert len(compose.out("ps", "-q", "box").split()) == 3
    assert compose.out("exec", "-T", "--index", "3", "box", "echo", "third") == "third"
    compose("up", "-d", "-t", "0", "--scale", "box=1")
    assert len(compose.out("ps", "-q", "box").split()) == 1


def test_an_image_is_built_for_its_service(compose: Compose) -> None:
    compose.write("services: {built: {build: {context: ., args: {WORD: hello}}, command: cat /word}}")
    (compose.folder / "Dockerfile").write_text(f"FROM {BASE}\nARG WORD\nRUN echo $WORD > /word\n")
    compose("build")
    assert compose("run", "--rm", "-T", "built").out.strip() == "hello"
    compose.engine.docker("rmi", "-f", f"proj{'_' if compose.version == 1 else '-'}built")


def test_networks_are_made_as_asked_and_used_from_outside(compose: Compose) -> None:
    compose.engine.docker("network", "create", "outside")
    compose.write(
        f"""
services:
  box:
    image: {BASE}
    command: sleep 600
    init: true
    networks: {{fixed: {{ipv4_address: 10.211.7.9}}, outside: }}
networks:
  fixed: {{internal: true, ipam: {{config: [{{subnet: 10.211.7.0/24}}]}}}}
  outside: {{external: true}}
"""
    )
    compose("up", "-d")
    seen = json.loads(compose.engine.out("inspect", compose.container("box")))[0]["NetworkSettings"]["Networks"]
    assert seen["proj_fixed"]["IPAddress"] == "10.211.7.9"
    assert sorted(seen) == ["outside", "proj_fixed"]
    compose("down", "-t", "0")
    compose.engine.docker("network", "rm", "outside")


def test_secrets_and_configs_are_files_in_the_service(compose: Compose) -> None:
    (compose.folder / "token").write_text("swordfish")
    compose.write(
        f"""
services:
  box: {{image: {BASE}, command: cat /run/secrets/token, secrets: [token]}}
secrets: {{token: {{file: ./token}}}}
"""
    )
    assert compose("run", "--rm", "-T", "box").out.strip() == "swordfish"


def test_what_only_the_new_compose_knows(compose: Compose) -> None:
    if compose.version == 1:
        pytest.skip("Compose 2 only")
    compose.write(
        f"""
services:
  box:
    image: {BASE}
    command: sleep 600
    init: true
    healthcheck: {{test: "true", interval: 1s}}
    configs: [{{source: note, target: /etc/note}}]
  job: {{image: {BASE}, command: "sh -c 'exit 3'"}}
configs: {{note: {{content: "said here"}}}}
"""
    )
    compose("up", "-d", "--wait", "box")
    assert compose.out("exec", "-T", "box", "cat", "/etc/note") == "said here"
    (compose.folder / "file").write_text("copied")
    compose("cp", "file", "box:/tmp/file")
    compose("cp", "box:/tmp/file", "back")
    assert (compose.folder / "back").read_text() == "copied"
    assert compose("up", "--exit-code-from", "job", "job", check=False).code == 3
    assert json.loads(compose.out("ps", "--format", "json", "box"))["Health"] == "healthy"
    assert "proj" in compose.out("ls", "-a")


def test_a_published_port_is_reachable(compose: Compose) -> None:
    compose.write(_PROJECT)
    compose("up", "-d")
    host, _, port = compose.out("port", "web", "8000").rpartition(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) in (0, 111)  # dockerd's proxy accepts, our rule hands on the refusal
