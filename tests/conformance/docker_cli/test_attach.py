"""Attaching: over a raw connection and a WebSocket, several at once, before the start, again after the engine died."""

from __future__ import annotations

import random
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import docker
import pytest

from engine_fixture import BASE, DEADLINE, RunningEngine, Terminal, wait_until

pytestmark = pytest.mark.root


@contextmanager
def _client(engine: RunningEngine, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The docker CLI with pipes at all of its streams."""
    process = subprocess.Popen(
        ["docker", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=engine.environ,
        bufsize=0,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _say(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)


def _hear(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdout is not None
    heard = b""
    while text not in heard:
        assert select.select([process.stdout], [], [], DEADLINE)[0], f"{text!r} did not come; heard {heard!r}"
        data = process.stdout.read(4096)
        assert data, f"{text!r} did not come; heard {heard!r}, {process.stderr.read() if process.stderr else b''!r}"
        heard += data


def _attached(engine: RunningEngine, times: int) -> None:
    """Waits until so many clients have attached to the box."""
    which = ("--since", "1h", "--until", "0s", "-f", "event=attach", "-f", f"container={_id(engine)}")
    wait_until(lambda: len(engine.out("events", *which).splitlines()) >= times)


def _id(engine: RunningEngine) -> str:
    return engine.out("inspect", "-f", "{{.Id}}", "box")


def test_several_clients_see_the_same_and_one_of_them_goes(engine: RunningEngine) -> None:
    with _client(engine, "run", "-i", "--name", "box", BASE, "cat") as owner:
        _say(owner, b"one\n")
        _hear(owner, b"one\n")
        with _client(engine, "attach", "--no-stdin", "box") as guest, _client(engine, "attach", "box") as second:
            _attached(engine, 3)
            _say(owner, b"two\n")
            for client in (owner, guest, second):
                _hear(client, b"two\n")
            guest.kill()
            guest.wait()
            _say(second, b"three\n")
            for client in (owner, second):
                _hear(client, b"three\n")
        assert owner.stdin is not None


def test_a_listener_that_goes_leaves_the_input_open(engine: RunningEngine) -> None:
    with _client(engine, "run", "-i", "--name", "box", BASE, "cat") as owner:
        _say(owner, b"one\n")
        _hear(owner, b"one\n")
        with _client(engine, "attach", "--no-stdin", "box") as guest:
            _attached(engine, 2)
            _say(owner, b"two\n")
            _hear(guest, b"two\n")
        _say(owner, b"three\n")
        _hear(owner, b"two\nthree\n")
        assert owner.stdin is not None
        owner.stdin.close()
        assert owner.wait(20) == 0


def test_input_arrives_whole_whatever_its_bytes(engine: RunningEngine) -> None:
    sent = b"\x10\x11" + random.Random(2).randbytes(3_000_000)
    with _client(engine, "run", "-i", "--rm", BASE, "cat") as box:
        out, _ = box.communicate(sent, timeout=60)
    assert out == sent
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    with _client(engine, "exec", "-i", "box", "cat") as box:
        out, _ = box.communicate(sent, timeout=60)
    assert out == sent


def test_attached_clients_attach_again_after_the_engine_died(engine: RunningEngine) -> None:
    count = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"
    with _client(engine, "run", "--name", "box", BASE, "sh", "-c", count) as first:
        _hear(first, b"3\n")
        engine.kill()
        first.wait(20)
    engine.start()
    with _client(engine, "attach", "box") as again:
        _hear(again, b"\n")
        before = int(engine.out("logs", "--tail", "1", "box"))
        _hear(again, f"{before + 3}\n".encode())


@pytest.mark.parametrize("stdin", [0, 1])
async def test_the_log_comes_first_and_nothing_twice(engine: RunningEngine, stdin: int) -> None:
    count = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done"
    engine.docker("create", "-i", "--name", "box", BASE, "sh", "-c", f"{count}; echo err >&2; sleep 0.3; {count}")
    engine.docker("start", "box")
    path = f"http://engine/containers/box/attach/ws?logs=1&stream=1&stdout=1&stdin={stdin}"
    connector = aiohttp.UnixConnector(str(engine.socket))
    async with aiohttp.ClientSession(connector=connector) as session, session.ws_connect(path) as socket:
        seen = b"".join([message.data async for message in socket])
    lines = [str(number).encode() for number in range(1, 3001)] * 2
    assert seen.splitlines() == lines
    api = docker.APIClient(engine.host)
    assert api.attach("box", stdout=True, stderr=False, stream=False, logs=True).splitlines() != []


def test_attaching_before_the_start_shows_the_first_byte(engine: RunningEngine) -> None:
    engine.docker("create", "--name", "box", BASE, "echo", "first")
    api = docker.APIClient(engine.host)
    stream = api.attach("box", stdout=True, stream=True)
    engine.docker("start", "box")
    assert b"".join(stream) == b"first\n"
    assert engine.out("start", "-a", "box") == "first"


_KEYS = [
    ("", "\x10\x11"),
    ("ctrl-@", "\0"),
    ("ctrl-x,x", "\x18x"),
    ("DEL", "\x7f"),
    ("a,b", "ab"),
    ("ctrl-\\", "\x1c"),
    ("ctrl-[,ctrl-]", "\x1b\x1d"),
]


@pytest.mark.parametrize(("given", "typed"), _KEYS)
def test_detach_keys_leave_the_container_running(engine: RunningEngine, given: str, typed: str) -> None:
    engine.docker("run", "-dit", "--name", "box", BASE, "cat")
    with Terminal(engine, "attach", *(["--detach-keys", given] if given else []), "box") as terminal:
        terminal.type("hi\r")
        terminal.expect("hi\r\nhi")
        terminal.type(typed)
        terminal.wait()
    assert engine.out("inspect", "-f", "{{.State.Status}}", "box") == "running"
    with Terminal(engine, "exec", "-it", *(["--detach-keys", given] if given else []), "box", "cat") as terminal:
        terminal.type("ho\r")
        terminal.expect("ho\r\nho")
        terminal.type(typed)
        terminal.wait()


def test_the_engine_itself_sees_the_keys_of_an_exec(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    api = docker.APIClient(engine.host)
    exec_id = api.exec_create("box", ["cat"], stdin=True, tty=True, detach_keys="ctrl-a,x")["Id"]
    with api.exec_start(exec_id, tty=True, socket=True) as stream:
        stream._sock.sendall(b"\x01")
        stream._sock.sendall(b"x")
        assert stream._sock.recv(100) == b""
    assert api.exec_inspect(exec_id)["Running"]
    assert api.exec_inspect(exec_id)["DetachKeys"] == "\x01x"
    _happens(engine, "exec_detach")


def _happens(engine: RunningEngine, action: str) -> None:
    which = ("--since", "1h", "--until", "0s", "-f", f"container={_id(engine)}", "--format", "{{.Action}}")
    wait_until(lambda: action in engine.out("events", *which).splitlines(), what=f"no event {action}")


def test_odd_detach_keys_are_refused(engine: RunningEngine) -> None:
    engine.docker("run", "-dit", "--name", "box", BASE, "cat")
    api = docker.APIClient(engine.host)
    for keys in ("ctrl-ä", "xx", "ctrl-", ","):
        answer = api._post(api._url("/containers/box/attach"), params={"detachKeys": keys, "stream": 1})
        assert (answer.status_code, answer.json()) == (400, {"message": f"Invalid detach keys ({keys}) provided"})
        with pytest.raises(docker.errors.APIError, match="Invalid escape keys"):
            api.exec_create("box", "true", detach_keys=keys)


def test_a_paused_and_a_restarting_container_take_nobody(engine: RunningEngine) -> None:
    engine.docker("run", "-d", "--name", "box", BASE, "sleep", "60")
    engine.docker("pause", "box")
    api = docker.APIClient(engine.host)
    with pytest.raises(docker.errors.APIError, match="container box is paused, unpause the container before attach"):
        api.attach("box", stream=True)
    with pytest.raises(docker.errors.APIError, match="Container box is paused, unpause the container before exec"):
        api.exec_create("box", "true")
    engine.docker("run", "-d", "--name", "loop", "--restart", "always", BASE, "false")
    wait_until(lambda: engine.out("inspect", "-f", "{{.State.Status}}", "loop") == "restarting")
    wait_until(lambda: int(engine.out("inspect", "-f", "{{.RestartCount}}", "loop")) > 3)
    wait_until(lambda: engine.out("inspect", "-f", "{{.State.Status}}", "loop") == "restarting")
    with pytest.raises(docker.errors.APIError, match="is restarting, wait until the container is running"):
        api.attach("loop", stream=True)


async def test_a_websocket_carries_both_directions(engine: RunningEngine) -> None:
    engine.docker("run", "-dit", "--name", "box", BASE, "cat")
    connector = aiohttp.UnixConnector(str(engine.socket))
    path = "http://engine/v1.47/containers/box/attach/ws?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a"
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.ws_connect(path) as socket:
            await socket.send_bytes(b"hello\r")
            heard = b""
            while b"hello\r\nhello" not in heard:
                message = await socket.receive(20)
                assert message.type is aiohttp.WSMsgType.BINARY
                heard += message.data
            await socket.send_str("\x01")
            assert (await socket.receive(20)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        _happens(engine, "detach")
        async with session.ws_connect(path.replace("stdin=1&stdout=1", "stdout=1&logs=1")) as socket:
            assert b"hello" in (await socket.receive(20)).data
        async with session.get("http://engine/containers/nosuch/attach/ws") as answer:
            assert answer.status == 404
        async with session.get("http://engine/containers/box/attach/ws") as answer:
            assert answer.status == 400
    assert engine.out("inspect", "-f", "{{.State.Status}}", "box") == "running"


def test_terminals_take_their_size_from_the_client(engine: RunningEngine) -> None:
    engine.docker("create", "-t", "--name", "box", BASE, "sleep", "60")
    api = docker.APIClient(engine.host)
    with pytest.raises(docker.errors.APIError, match="is not running"):
        api.resize("box", 10, 20)
    engine.docker("start", "box")
    api.resize("box", 33, 77)
    wait_until(lambda: "33 77" in engine.out("exec", "box", "sh", "-c", "stty size < /proc/1/fd/0"))
    _happens(engine, "resize")
