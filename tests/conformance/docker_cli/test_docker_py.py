"""docker-py against the engine: the same API by another client's habits."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import docker
import pytest
from docker.errors import APIError, ContainerError, NotFound

from engine_fixture import BASE, RunningEngine, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def client(engine: RunningEngine) -> Iterator[docker.DockerClient]:
    found = docker.DockerClient(base_url=engine.host)
    yield found
    found.close()


def test_the_engine_says_who_it_is(client: docker.DockerClient) -> None:
    assert client.ping() is True
    assert client.version()["ApiVersion"] in ("1.47", "1.45")  # Riad's and that of Debian 13's dockerd
    assert client.info()["OSType"] == "linux"


def test_images_are_shown_as_trees(engine: RunningEngine) -> None:
    told = engine.out("image", "ls", "--tree")
    assert "linux/" in told
    assert BASE.partition(":")[0] in told


def test_an_old_client_is_served_and_a_too_new_one_is_told(engine: RunningEngine) -> None:
    old = docker.APIClient(base_url=engine.host, version="1.24")
    assert old.containers() == []
    old.close()
    new = docker.APIClient(base_url=engine.host, version="1.99")
    with pytest.raises(APIError, match="is too new"):
        new.containers()
    new.close()


def test_run_gives_output_and_raises_for_failures(client: docker.DockerClient) -> None:
    assert client.containers.run(BASE, ["echo", "hi"], remove=True) == b"hi\n"
    with pytest.raises(ContainerError) as failed:
        client.containers.run(BASE, ["sh", "-c", "echo no >&2; exit 2"], remove=True)
    assert failed.value.exit_status == 2


def test_a_container_lives_and_is_asked_about(client: docker.DockerClient) -> None:
    box = client.containers.run(
        BASE, ["sleep", "60"], detach=True, name="py-box", labels={"a": "b"}, environment={"X": "1"}
    )
    assert [found.name for found in client.containers.list(filters={"label": "a=b"})] == ["py-box"]
    code, output = box.exec_run(["sh", "-c", "echo $X; echo e >&2; exit 3"], demux=True)
    assert (code, output) == (3, (b"1\n", b"e\n"))
    assert "sleep 60" in str(box.top()["Processes"])
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.rename("py-other")
    box.restart(timeout=0)
    box.stop(timeout=0)
    assert box.wait()["StatusCode"] == 137
    box.remove()
    with pytest.raises(NotFound, match="No such container"):
        client.containers.get("py-other")


def test_attached_streams_are_framed(client: docker.DockerClient) -> None:
    box = client.containers.create(BASE, ["sh", "-c", "read x; echo got $x"], stdin_open=True)
    stream = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    box.start()
    raw: socket.socket = getattr(stream, "_sock", stream)
    raw.sendall(b"word\n")
    head = _exactly(raw, 8)
    kind, length = struct.unpack(">BxxxI", head)
    assert (kind, _exactly(raw, length)) == (1, b"got word\n")
    assert raw.recv(1) == b""
    stream.close()


def _exactly(raw: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = raw.recv(size - len(data))
        assert piece, f"the stream ended after {data!r}"
        data += piece
    return data


def test_logs_stream_while_the_container_runs(client: docker.DockerClient) -> None:
    box = client.containers.run(BASE, ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"], detach=True)
    assert b"".join(box.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert box.logs(tail=1, timestamps=True).split(b" ")[1] == b"3\n"


def test_networks_are_joined_and_left_while_running(client: docker.DockerClient) -> None:
    network = client.networks.create("py-net")
    box = client.containers.run(BASE, ["sleep", "60"], detach=True, name="py-a", network="py-net")
    other = client.containers.run(BASE, ["sleep", "60"], detach=True, name="py-b")
    network.connect(other, aliases=["second"])
    wait_until(lambda: box.exec_run(["getent", "hosts", "second"]).exit_code == 0)
    network.disconnect(other)
    other.reload()
    assert list(other.attrs["NetworkSettings"]["Networks"]) == ["bridge"]
    for found in (box, other):
        found.remove(force=True)
    network.remove()


def test_what_is_not_there_answers_501(engine: RunningEngine) -> None:
    engine.only_riad("names the route that it does not have; dockerd says 404")
    client = docker.APIClient(base_url=engine.host, version="1.47")
    answer = client._get(client._url("/nothing/of/this"))
    assert answer.status_code == 501
    assert "is not implemented" in answer.json()["message"]
    client.close()
