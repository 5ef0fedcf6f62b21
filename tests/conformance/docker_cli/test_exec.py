"""exec: what inspect says, codes, sizes, clients that go, and what an engine that died leaves behind."""

from __future__ import annotations

import subprocess

import docker
import pytest

from engine_fixture import BASE, RunningEngine, Terminal, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def api(engine: RunningEngine) -> docker.APIClient:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "600")
    return docker.APIClient(engine.host)


def test_inspect_says_what_was_asked_and_what_came_of_it(engine: RunningEngine, api: docker.APIClient) -> None:
    exec_id = api.exec_create("box", ["sh", "-c", "exit 5"], stdin=True, user="app", privileged=True, tty=False)["Id"]
    before = api.exec_inspect(exec_id)
    assert (before["Running"], before["ExitCode"], before["Pid"]) == (False, None, 0)
    assert before["ProcessConfig"] == {
        "tty": False,
        "entrypoint": "sh",
        "arguments": ["-c", "exit 5"],
        "privileged": True,
        "user": "app",
    }
    assert (before["OpenStdin"], before["OpenStdout"], before["OpenStderr"]) == (True, True, True)
    assert before["ContainerID"] == api.inspect_container("box")["Id"]
    api.exec_start(exec_id)
    after = api.exec_inspect(exec_id)
    assert (after["Running"], after["ExitCode"], after["CanRemove"]) == (False, 5, True)
    with pytest.raises(docker.errors.APIError, match="already running or has run") as caught:
        api.exec_start(exec_id)
    assert caught.value.status_code == 409
    with pytest.raises(docker.errors.NotFound, match="No such exec instance: nosuch"):
        api.exec_inspect("nosuch")
    with pytest.raises(docker.errors.APIError, match="No exec command specified"):
        api.exec_create("box", [])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["box", "nosuch"], 127),
        (["box", "/etc/passwd"], 126),
        (["box", "sh", "-c", "kill -9 $$"], 137),
        (["box", "sh", "-c", "exit 300"], 44),
        (["-w", "/nowhere", "box", "true"], 127),
        (["-u", "nosuch", "box", "true"], 126),
    ],
)
def test_codes_are_those_of_a_shell(
    engine: RunningEngine, api: docker.APIClient, arguments: list[str], code: int
) -> None:
    assert engine.docker("exec", *arguments, check=False).code == code


def test_happenings_are_told_with_their_code(engine: RunningEngine, api: docker.APIClient) -> None:
    engine.docker("exec", "box", "sh", "-c", "exit 3", check=False)
    box = f"container={api.inspect_container('box')['Id']}"
    which = ("--since", "1h", "--until", "0s", "-f", box, "--format", "{{.Action}}/{{.Actor.Attributes.exitCode}}")

    def told() -> list[str]:
        return [line for line in engine.out("events", *which).splitlines() if line.startswith("exec")]

    wait_until(lambda: len(told()) == 3)
    create, start, die = told()
    assert create.startswith("exec_create: sh -c exit 3/")
    assert start.startswith("exec_start: sh -c exit 3/")
    assert die == "exec_die/3"


def test_a_command_goes_on_when_its_client_has_gone(engine: RunningEngine, api: docker.APIClient) -> None:
    script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo a line that is long enough $i; done; echo over > /over"
    client = subprocess.Popen(["docker", "exec", "box", "sh", "-c", script], stdout=subprocess.PIPE, env=engine.environ)
    assert client.stdout is not None
    client.stdout.read(1000)
    client.kill()
    client.communicate()
    wait_until(lambda: engine.docker("exec", "box", "cat", "/over", check=False).out == "over\n")


def test_commands_of_an_engine_that_died_do_not_keep_the_container(
    engine: RunningEngine, api: docker.APIClient
) -> None:
    engine.docker("exec", "-d", "box", "sh", "-c", "trap '' TERM HUP; while :; do sleep 1; done")
    client = subprocess.Popen(
        ["docker", "exec", "box", "sleep", "600"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=engine.environ,
    )
    wait_until(lambda: engine.out("top", "box").count("sleep") >= 3)
    engine.kill()
    client.wait(20)
    engine.start()
    assert engine.docker("exec", "box", "true").code == 0
    engine.docker("rm", "-f", "box")
    assert engine.out("ps", "-aq") == ""


def test_a_terminal_has_the_size_it_is_given(engine: RunningEngine, api: docker.APIClient) -> None:
    exec_id = api.exec_create("box", ["sh", "-c", "read x; stty size"], tty=True, stdin=True)["Id"]
    answer = api._post_json(
        api._url("/exec/{0}/start", exec_id),
        data={"Detach": False, "Tty": True, "ConsoleSize": [31, 71]},
        headers={"Connection": "Upgrade", "Upgrade": "tcp"},
        stream=True,
    )
    stream = api._get_raw_response_socket(answer)
    api.exec_resize(exec_id, height=41, width=91)
    stream._sock.sendall(b"\r")
    heard = b""
    while data := stream._sock.recv(100):
        heard += data
    assert b"41 91" in heard
    with Terminal(engine, "exec", "-it", "box", "sh", "-c", "stty size") as terminal:
        terminal.expect(" ")
        assert terminal.wait() == 0


def test_large_streams_go_both_ways(engine: RunningEngine, api: docker.APIClient) -> None:
    with subprocess.Popen(
        ["docker", "exec", "-i", "box", "sh", "-c", "cat; echo end >&2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=engine.environ,
    ) as client:
        out, err = client.communicate(b"0123456789" * 2_000_000, timeout=60)
    assert len(out) == 20_000_000
    assert err == b"end\n"
