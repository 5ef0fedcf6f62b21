"""What Riad relies on in every Docker Engine API: the same rules for the fake and for a real engine.

RIAD_TEST_ENGINE (a docker host) and RIAD_TEST_IMAGE (an image there with /bin/sh) name another real one: a Docker, a
Podman.
"""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import shutil
import tarfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine_fixture import BASE, running_engine
from fakes.docker_engine import FakeContainer, FakeDockerEngine
from riad.dockerclient.client import DockerClient
from riad.dockerclient.frames import Stream
from riad.kernel.faults import Fault, Kind


@dataclass
class Engine:
    docker: DockerClient
    image: str
    label: str

    async def container(self, script: str, **spec: object) -> str:
        return await self.docker.containers.create(
            {"Image": self.image, "Cmd": ["sh", "-c", script], "Labels": {"riad.contract": self.label}, **spec}
        )


async def shell(container: FakeContainer) -> int:
    """Enough of a shell for the scripts below."""
    script = container.spec["Cmd"][2]
    for command in script.split("; "):
        word, _, rest = command.partition(" ")
        if word == "echo":
            text, redirected, target = rest.partition(" > ")
            if not redirected:
                to_stderr = text.endswith(" >&2")
                stream = Stream.STDERR if to_stderr else Stream.STDOUT
                container.write(text.removesuffix(" >&2").encode() + b"\n", stream)
            else:
                container.files[target] = text.encode() + b"\n"
        elif word == "cat":
            container.write(container.files[rest])
        elif word == "sleep":
            await container.stopping.wait()
            return 143
        elif word == "exit":
            return int(rest)
    return 0


async def fake_exec(container: FakeContainer, command: list[str], stdin: bytes) -> tuple[int, bytes]:
    return (3, stdin.upper()) if stdin else (0, " ".join(command[1:]).encode() + b"\n")


@pytest.fixture(scope="module")
def real_engine() -> Iterator[tuple[str, str]]:
    host, image = os.environ.get("RIAD_TEST_ENGINE"), os.environ.get("RIAD_TEST_IMAGE")
    if host and image:
        yield host, image
        return
    if os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))):
        pytest.skip("needs root, docker, runc and conmon")
    with running_engine() as running:
        yield running.host, BASE


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.root)])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    label = secrets.token_hex(6)
    if request.param == "fake":
        async with FakeDockerEngine(tmp_path / "engine.sock") as fake, DockerClient(fake.host) as docker:
            fake.add_image("contract:1")
            fake.program("contract:1", shell)
            fake.on_exec = fake_exec
            yield Engine(docker, "contract:1", label)
        return
    host, image = request.getfixturevalue("real_engine")
    async with DockerClient(host) as docker:
        try:
            yield Engine(docker, image, label)
        finally:
            for left in await docker.containers.list(stopped=True, filters={"label": [f"riad.contract={label}"]}):
                await docker.containers.remove(left["Id"], force=True)


async def test_a_container_runs_to_its_exit_code(engine: Engine) -> None:
    container = await engine.container("echo hello; exit 7")
    await engine.docker.containers.start(container)
    assert await engine.docker.containers.wait(container) == 7
    state = (await engine.docker.containers.inspect(container))["State"]
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("exited", 7, False)


async def test_logs_keep_the_streams_apart_and_end_with_the_container(engine: Engine) -> None:
    container = await engine.container("echo out; echo err >&2; exit 0")
    await engine.docker.containers.start(container)
    chunks = [chunk async for chunk in engine.docker.containers.logs(container, follow=True)]
    assert b"".join(c.data for c in chunks if c.stream is Stream.STDOUT) == b"out\n"
    assert b"".join(c.data for c in chunks if c.stream is Stream.STDERR) == b"err\n"


async def test_the_last_lines_of_a_log_can_be_asked_for(engine: Engine) -> None:
    container = await engine.container("echo one; echo two; echo three")
    await engine.docker.containers.start(container)
    await engine.docker.containers.wait(container)
    chunks = [chunk async for chunk in engine.docker.containers.logs(container, tail=2)]
    assert b"".join(c.data for c in chunks) == b"two\nthree\n"


async def test_start_and_stop_and_remove_may_be_repeated(engine: Engine) -> None:
    container = await engine.container("sleep 60")
    containers = engine.docker.containers
    await containers.start(container)
    await containers.start(container)
    await containers.stop(container, timeout=1)
    await containers.stop(container, timeout=1)
    await containers.remove(container)
    await containers.remove(container)
    with pytest.raises(Fault) as caught:
        await containers.inspect(container)
    assert caught.value.kind is Kind.NOT_FOUND


async def test_a_running_container_is_removed_by_force_only(engine: Engine) -> None:
    container = await engine.container("sleep 60")
    await engine.docker.containers.start(container)
    with pytest.raises(Fault) as caught:
        await engine.docker.containers.remove(container)
    assert caught.value.kind is Kind.CONFLICT
    await engine.docker.containers.remove(container, force=True)


async def test_a_name_is_taken_until_its_container_is_removed(engine: Engine) -> None:
    name = f"riad-contract-{engine.label}"
    spec = {"Image": engine.image, "Cmd": ["true"], "Labels": {"riad.contract": engine.label}}
    first = await engine.docker.containers.create(spec, name)
    with pytest.raises(Fault) as caught:
        await engine.docker.containers.create(spec, name)
    assert caught.value.kind is Kind.CONFLICT
    await engine.docker.containers.remove(first)
    await engine.docker.containers.create(spec, name)


async def test_files_go_into_a_created_container_and_come_out_of_an_ended_one(engine: Engine) -> None:
    container = await engine.container("cat /tmp/in.txt; echo made > /tmp/out.txt")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("in.txt")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"in\n"))
    tar.seek(0)
    await engine.docker.containers.put_archive(container, "/tmp", tar)
    await engine.docker.containers.start(container)
    assert await engine.docker.containers.wait(container) == 0
    body = b"".join([piece async for piece in engine.docker.containers.get_archive(container, "/tmp/out.txt")])
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == ["out.txt"]
        file = archive.extractfile("out.txt")
        assert file is not None and file.read() == b"made\n"
    assert (await engine.docker.containers.stat(container, "/tmp/out.txt")).size == 5
    assert (await engine.docker.containers.stat(container, "/tmp")).is_directory
    with pytest.raises(Fault) as caught:
        await engine.docker.containers.stat(container, "/tmp/nope")
    assert caught.value.kind is Kind.NOT_FOUND


async def test_a_command_in_a_container_gets_stdin_and_gives_its_code(engine: Engine) -> None:
    container = await engine.container("sleep 60")
    await engine.docker.containers.start(container)
    assert await engine.docker.containers.exec_run(container, ["echo", "hi"]) == (0, b"hi\n")
    command = ["sh", "-c", "tr a-z A-Z; exit 3"]
    assert await engine.docker.containers.exec_run(container, command, stdin=b"abc") == (3, b"ABC")


async def test_no_command_runs_in_a_container_that_is_not_running(engine: Engine) -> None:
    container = await engine.container("sleep 60")
    with pytest.raises(Fault) as caught:
        await engine.docker.containers.exec_run(container, ["true"])
    assert caught.value.kind is Kind.CONFLICT


async def test_attach_shows_what_is_written_from_then_on(engine: Engine) -> None:
    container = await engine.container("echo live; exit 0")
    async with engine.docker.containers.attach(container) as stream:
        await engine.docker.containers.start(container)
        assert b"".join([chunk.data async for chunk in stream.chunks()]) == b"live\n"


async def test_lists_are_filtered_by_label(engine: Engine) -> None:
    container = await engine.container("exit 0")
    mine = await engine.docker.containers.list(stopped=True, filters={"label": [f"riad.contract={engine.label}"]})
    assert [found["Id"] for found in mine] == [container]
    assert await engine.docker.containers.list(filters={"label": [f"riad.contract={engine.label}"]}) == []


async def test_a_network_is_ensured_once_and_containers_have_an_address_on_it(engine: Engine) -> None:
    name = f"riad-{engine.label}"
    first, second = await asyncio.gather(engine.docker.networks.ensure(name), engine.docker.networks.ensure(name))
    assert first["Id"] == second["Id"]
    container = await engine.container("sleep 60", HostConfig={"NetworkMode": name})
    await engine.docker.containers.start(container)
    networks = (await engine.docker.containers.inspect(container))["NetworkSettings"]["Networks"]
    assert networks[name]["IPAddress"]
    await engine.docker.containers.remove(container, force=True)
    await engine.docker.networks.remove(name)
    await engine.docker.networks.remove(name)


async def test_a_volume_is_made_once(engine: Engine) -> None:
    name = f"riad-{engine.label}"
    labels = {"riad.contract": engine.label}
    await engine.docker.volumes.create(name, labels=labels)
    await engine.docker.volumes.create(name, labels=labels)
    found = await engine.docker.volumes.list(filters={"label": [f"riad.contract={engine.label}"]})
    assert [volume["Name"] for volume in found] == [name]
    await engine.docker.volumes.remove(name)
    await engine.docker.volumes.remove(name)


async def test_a_missing_image_is_said_to_be_missing(engine: Engine) -> None:
    for attempt in (
        engine.docker.images.inspect("riad-no-such-image:1"),
        engine.docker.containers.create({"Image": "riad-no-such-image:1", "Cmd": ["true"]}),
    ):
        with pytest.raises(Fault, match="riad-no-such-image:1") as caught:
            await attempt
        assert caught.value.kind is Kind.NOT_FOUND


async def test_the_end_of_a_container_is_announced(engine: Engine) -> None:
    container = await engine.container("exit 4")

    async def first_end() -> dict[str, object]:
        filters = {"type": ["container"], "event": ["die"], "label": [f"riad.contract={engine.label}"]}
        async for event in engine.docker.events(since=since, filters=filters):
            return event
        raise AssertionError("the stream ended")

    since = str(int(time.time()))
    await engine.docker.containers.start(container)
    event = await asyncio.wait_for(first_end(), 20)
    assert event["Action"] == "die" and event["Actor"]["ID"] == container  # type: ignore[index]
