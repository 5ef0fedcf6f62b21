"""`riad docker update`: ports of a running container change at once; mounts and variables with what it wrote kept."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from engine_fixture import BASE, RunningEngine, Said, wait_until

pytestmark = pytest.mark.root

WITH_PYTHON = ("-v", "/usr:/usr:ro")
SERVE = (BASE, "python3", "-m", "http.server", "8000", "--directory", "/etc")


def riad_docker(engine: RunningEngine, *arguments: str) -> Said:
    command = [sys.executable, "-m", "riad.cli.main", "docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=engine.environ, timeout=120, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=3) as client:
            client.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
            return b"200" in client.recv(100)
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("", 0)) for _ in range(count)]
    numbers = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return numbers


def test_a_port_comes_and_another_goes_without_a_restart(engine: RunningEngine) -> None:
    first, second = free_ports(2)
    engine.docker("run", "-d", "--name", "web", "-p", f"{first}:8000", *WITH_PYTHON, *SERVE)
    wait_until(lambda: answers(first))
    pid = engine.out("inspect", "-f", "{{.State.Pid}}", "web")
    held = socket.create_connection(("127.0.0.1", first), timeout=3)
    said = riad_docker(engine, "update", "--publish", f"{second}:8000", "--publish-rm", str(first), "web")
    assert (said.code, said.out) == (0, "web\n"), said
    assert answers(second) and not answers(first)
    held.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
    assert b"200" in held.recv(100), "a connection that was open is cut off"
    held.close()
    assert engine.out("inspect", "-f", "{{.State.Pid}}", "web") == pid
    assert engine.out("port", "web").splitlines() == [f"8000/tcp -> 0.0.0.0:{second}"]
    engine.docker("restart", "-t", "0", "web")
    wait_until(lambda: answers(second))
    assert not answers(first)


def test_a_taken_port_changes_nothing(engine: RunningEngine) -> None:
    first, second = free_ports(2)
    engine.docker("run", "-d", "--name", "web", "-p", f"{first}:8000", *WITH_PYTHON, *SERVE)
    engine.docker("run", "-d", "--name", "other", "-p", f"{second}:8000", BASE, "sleep", "1000")
    wait_until(lambda: answers(first))
    said = riad_docker(engine, "update", "-p", f"{second}:8000", "--publish-rm", str(first), "web")
    assert said.code == 1
    assert f"Bind for 0.0.0.0:{second} failed: port is already allocated" in said.err
    assert answers(first)
    said = riad_docker(engine, "update", "--publish-rm", "9", "web")
    assert "container web publishes no port 9" in said.err


def test_ports_of_a_resting_container_count_from_its_next_start(engine: RunningEngine) -> None:
    (port,) = free_ports(1)
    engine.docker("create", "--name", "web", *WITH_PYTHON, *SERVE)
    assert riad_docker(engine, "update", "-p", f"127.0.0.1:{port}:8000", "web").code == 0
    engine.docker("start", "web")
    wait_until(lambda: answers(port))


def test_mounts_and_variables_change_and_the_writable_layer_stays(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "web", "-e", "OLD=1", "--tmpfs", "/gone", BASE, "sleep", "1000")
    before = engine.out("inspect", "-f", "{{.Id}} {{.NetworkSettings.Networks.bridge.NetworkID}}", "web")
    engine.docker("exec", "web", "sh", "-c", "echo kept > /written")
    said = riad_docker(
        engine, "update", "-t", "0", "--env", "NEW=2", "--env-rm", "OLD", "--mount", "source=data,target=/data",
        "--mount-rm", "/gone", "web",
    )  # fmt: skip
    assert said.code == 0, said
    assert engine.out("inspect", "-f", "{{.Id}} {{.NetworkSettings.Networks.bridge.NetworkID}}", "web") == before
    assert engine.out("exec", "web", "cat", "/written") == "kept"
    seen = engine.out("exec", "web", "env").splitlines()
    assert "NEW=2" in seen and "OLD=1" not in seen
    (shape,) = json.loads(engine.out("inspect", "web"))
    assert [mount["Destination"] for mount in shape["Mounts"]] == ["/data"]
    assert shape["State"]["Running"]
    assert "/gone" not in shape["HostConfig"].get("Tmpfs", {})


def test_what_does_not_start_so_runs_on_as_before(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "web", BASE, "sleep", "1000")
    said = riad_docker(engine, "update", "-t", "0", "--mount", "type=tmpfs,target=/bin", "web")
    assert said.code == 1
    assert "does not start so and runs as before" in said.err
    assert engine.out("inspect", "-f", "{{.State.Running}}", "web") == "true"
    said = riad_docker(engine, "update", "--mount", "type=bind,source=/nowhere/x,target=/x", "web")
    assert "bind source path does not exist: /nowhere/x" in said.err


def test_everything_else_is_the_stock_command(engine: RunningEngine) -> None:
    assert riad_docker(engine, "version", "--format", "{{.Server.APIVersion}}").out == "1.47\n"
    assert riad_docker(engine, "run", "--rm", BASE, "echo", "-x").out == "-x\n"
    assert riad_docker(engine, "nonsense").code != 0
    assert "--publish-rm" in riad_docker(engine, "update", "--help").out


def test_every_published_port_is_shown_with_who_can_reach_it(engine: RunningEngine) -> None:
    first, second = free_ports(2)
    engine.docker(
        "run", "-d", "--name", "web", "-p", f"{first}:80", "-p", f"127.0.0.1:{second}:81", BASE, "sleep", "999"
    )
    command = [sys.executable, "-m", "riad.cli.main", "engine", "ports", "-H", engine.host]
    said = subprocess.run(command, capture_output=True, text=True, env=engine.environ, timeout=60, check=True)
    lines = [line.split() for line in said.stdout.splitlines()]
    assert lines[0][:2] == ["CONTAINER", "PORT"]
    assert ["web", "80/tcp", f"0.0.0.0:{first}"] in [line[:3] for line in lines]
    assert ["web", "81/tcp", f"127.0.0.1:{second}", "this", "host"] in [line[:5] for line in lines]
    shown = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, env=engine.environ, timeout=60, check=True).stdout
    )
    assert {(port["HostPort"], port["Type"]) for port in shown} == {(first, "tcp"), (second, "tcp")}
