"""Two projects' jobs before one engine (in memory), with real sockets, clients and the stock docker command."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.docker_engine import FakeContainer, FakeDockerEngine, forever, outcome
from riad.dockerclient.client import DockerClient
from riad.dockerclient.frames import Stream
from riad.dockerclient.images import RegistryAuth
from riad.dockerclient.scoped.sockets import ScopedSockets
from riad.kernel.faults import Fault, Kind

OWN, OTHERS = "localhost:8080/demo/shop", "localhost:8080/other/secret"


@dataclass
class House:
    engine: FakeDockerEngine
    admin: DockerClient
    shop: DockerClient
    other: DockerClient
    sockets: ScopedSockets
    socket: str


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with FakeDockerEngine(tmp_path / "engine.sock") as engine, DockerClient(engine.host) as admin:
        engine.add_image("python:3.11")
        engine.program("python:3.11", forever(stdout=b"hello\n"))
        sockets = ScopedSockets(engine.host, tmp_path / "jobs", "localhost:8080")
        shop, other = await sockets.open("demo/shop", 7), await sockets.open("other/secret", 8)
        async with DockerClient(f"unix://{shop}") as first, DockerClient(f"unix://{other}") as second:
            yield House(engine, admin, first, second, sockets, shop)
        await sockets.stop()


async def refused(attempt: object, *kinds: Kind) -> str:
    with pytest.raises(Fault) as caught:
        await attempt  # type: ignore[misc]
    assert caught.value.kind in kinds, caught.value
    return caught.value.message


async def run(docker: DockerClient, image: str = "python:3.11", name: str | None = None, **spec: object) -> str:
    container = await docker.containers.create({"Image": image, **spec}, name)
    await docker.containers.start(container)
    return container


async def test_a_job_sees_and_stops_its_own_containers(house: House) -> None:
    container = await run(house.shop, name="web")
    assert [c["Id"] for c in await house.shop.containers.list()] == [container]
    labels = (await house.shop.containers.inspect("web"))["Config"]["Labels"]
    assert labels == {"riad.project": "demo/shop", "riad.scoped": "demo/shop", "riad.scoped.job": "7"}
    logs = house.shop.containers.logs("web", follow=True)
    assert (await anext(logs)).data == b"hello\n"
    await house.shop.containers.stop("web")
    assert await house.shop.containers.wait("web") == 143
    await house.shop.containers.remove("web")


async def test_what_belongs_to_another_project_does_not_exist(house: House) -> None:
    container = await run(house.other, name="theirs")
    await house.other.networks.create("their-network")
    await house.other.volumes.create("their-volume")
    shop = house.shop
    assert await shop.containers.list(stopped=True) == []
    assert await shop.networks.list() == []
    assert await shop.volumes.list() == []
    attempts = [shop.containers.inspect(name) for name in ("theirs", container, container[:12])] + [
        shop.containers.stop(container),
        shop.containers.kill(container),
        shop.containers.restart(container),
        shop.containers.start(container),
        shop.containers.wait(container),
        shop.containers.exec_run(container, ["env"]),
        shop.containers.put_archive(container, "/", b""),
        shop.containers.stat(container, "/etc/passwd"),
        shop.networks.inspect("their-network"),
        shop.volumes.inspect("their-volume"),
        anext(shop.containers.logs(container)),
        anext(shop.containers.get_archive(container, "/")),
    ]
    for attempt in attempts:
        await refused(attempt, Kind.NOT_FOUND)
    await shop.containers.remove(container, force=True)
    await shop.networks.remove("their-network")
    await shop.volumes.remove("their-volume")
    assert (
        await house.other.containers.list() and await house.other.networks.list() and await house.other.volumes.list()
    )


async def test_riads_own_containers_of_the_same_project_do_not_exist_either(house: House) -> None:
    """They hold the secrets of other people's jobs, and serve the project's users."""
    for labels in ({"riad.project": "demo/shop", "riad.job": "3"}, {"riad.project": "demo/shop", "riad.release": "1"}):
        container = await run(house.admin, Env=["CI_JOB_TOKEN=secret"], Labels=labels)
        await refused(house.shop.containers.inspect(container), Kind.NOT_FOUND)
        await refused(house.shop.containers.exec_run(container, ["env"]), Kind.NOT_FOUND)
    assert await house.shop.containers.list(stopped=True) == []


async def test_another_projects_things_cannot_be_joined(house: House) -> None:
    theirs = await run(house.other, name="theirs")
    await house.other.networks.create("their-network")
    await house.other.volumes.create("their-volume")
    shop = house.shop
    await refused(run(shop, HostConfig={"NetworkMode": "their-network"}), Kind.DENIED)
    await refused(run(shop, HostConfig={"VolumesFrom": ["theirs"]}), Kind.DENIED)
    await refused(run(shop, HostConfig={"VolumesFrom": [f"{theirs[:12]}:rw"]}), Kind.DENIED)
    await refused(run(shop, HostConfig={"Binds": ["their-volume:/v"]}), Kind.CONFLICT)
    await refused(shop.volumes.create("their-volume"), Kind.CONFLICT)
    mine = await run(shop, name="mine")
    await shop.networks.create("my-network")
    await refused(shop.networks.connect("their-network", mine), Kind.NOT_FOUND)
    await refused(shop.networks.connect("my-network", theirs), Kind.NOT_FOUND)
    await refused(shop.networks.disconnect("their-network", theirs), Kind.NOT_FOUND)
    await shop.networks.connect("my-network", "mine")


async def test_a_volume_of_a_new_container_is_the_projects(house: House) -> None:
    await run(house.shop, HostConfig={"Binds": ["cache:/cache"]})
    assert [v["Name"] for v in await house.shop.volumes.list()] == ["cache"]
    assert await house.other.volumes.list() == []


@pytest.mark.parametrize(
    "settings", [{"Privileged": True}, {"Binds": ["/:/host"]}, {"PidMode": "host"}, {"NetworkMode": "host"}]
)
async def test_nothing_that_reaches_the_host_comes_through(house: House, settings: dict[str, object]) -> None:
    message = await refused(run(house.shop, HostConfig=settings), Kind.DENIED)
    assert message.startswith("riad: ")
    assert house.engine.containers == {}


async def test_a_command_in_an_own_container_gets_input_and_gives_output(house: House) -> None:
    async def shout(container: FakeContainer, command: list[str], stdin: bytes) -> tuple[int, bytes]:
        return 3, stdin.upper() + " ".join(command).encode()

    house.engine.on_exec = shout
    await run(house.shop, name="web")
    assert await house.shop.containers.exec_run("web", ["tr", "a"], stdin=b"abc ") == (3, b"ABC tr a")
    message = await refused(
        house.shop._transport.json("POST", "/containers/web/exec", document={"Cmd": ["id"], "Privileged": True}),
        Kind.DENIED,
    )
    assert "Privileged" in message


async def test_a_command_in_another_projects_container_is_out_of_reach_by_its_id_too(house: House) -> None:
    await run(house.other, name="theirs")
    made = await house.other._transport.json("POST", "/containers/theirs/exec", document={"Cmd": ["env"]})
    await refused(house.shop.containers.exec_inspect(made["Id"]), Kind.NOT_FOUND)
    answer = await raw(house.socket, f"POST /exec/{made['Id']}/start HTTP/1.1", {}, upgrade=True)
    assert answer.startswith(b"HTTP/1.1 404")


async def test_attach_passes_both_ways(house: House) -> None:
    async def speak(container: FakeContainer) -> int:
        container.write(b"out\n")
        container.write(b"err\n", Stream.STDERR)
        return 0

    house.engine.program("python:3.11", speak)
    container = await house.shop.containers.create({"Image": "python:3.11"})
    async with house.shop.containers.attach(container) as stream:
        await house.shop.containers.start(container)
        chunks = [(chunk.stream, chunk.data) async for chunk in stream.chunks()]
    assert sorted(chunks) == [(Stream.STDERR, b"err\n"), (Stream.STDOUT, b"out\n")]


async def raw(socket: str, line: str, document: object, *, upgrade: bool = False, then: bytes = b"") -> bytes:
    """Sends bytes as an attacker would; everything that comes back until the other side closes or falls silent."""
    reader, writer = await asyncio.open_unix_connection(socket)
    body = json.dumps(document).encode()
    more = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else ""
    writer.write(
        f"{line}\r\nHost: x\r\n{more}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    writer.write(body + then)
    answer = bytearray()
    try:
        async with asyncio.timeout(1):
            while data := await reader.read(65536):
                answer += data
    except TimeoutError:
        pass
    writer.close()
    return bytes(answer)


async def test_requests_behind_a_refused_upgrade_are_looked_at_like_any_other(house: House) -> None:
    """A connection that the engine did not give up must never carry a client's raw bytes."""
    theirs = await run(house.other, name="theirs", Env=["SECRET=1"])
    container = await house.shop.containers.create({"Image": "python:3.11"}, "mine")
    await house.shop.containers.start(container)
    house.engine.fail_next("attach", status=409, message="not now")
    hidden = f"GET /containers/{theirs}/json HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    answer = await raw(house.socket, "POST /containers/mine/attach?stream=1 HTTP/1.1", None, upgrade=True, then=hidden)
    assert answer.startswith(b"HTTP/1.1 409")
    assert b"SECRET" not in answer


@pytest.mark.parametrize(
    "then",
    [
        b"GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_requests_sent_ahead_are_looked_at_one_by_one(house: House, then: bytes) -> None:
    await run(house.other, name="theirs")
    answer = await raw(house.socket, "GET /_ping HTTP/1.1", None, then=then)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"theirs" not in answer


# -- images


async def test_images_of_other_projects_are_not_there(house: House) -> None:
    secret = house.engine.add_image(f"{OTHERS}:1", config={"secret": True})
    house.engine.add_image(f"{OWN}:1", config={"own": True})
    shop = house.shop
    assert {tag for found in await shop.images.list() for tag in found["RepoTags"]} == {"python:3.11", f"{OWN}:1"}
    for name in (f"{OTHERS}:1", secret.id, secret.id[7:19]):
        await refused(shop.images.inspect(name), Kind.NOT_FOUND)
        await refused(run(shop, image=name), Kind.NOT_FOUND, Kind.DENIED)
        await refused(shop.images.tag(name, OWN, "stolen"), Kind.NOT_FOUND)
        await shop.images.remove(name, force=True)
    await refused(shop.images.pull(f"{OTHERS}:1"), Kind.DENIED)
    await refused(shop.images.push(f"{OTHERS}:1"), Kind.DENIED)
    assert secret.id in house.engine.images


async def test_an_image_with_names_of_both_shows_its_own_only(house: House) -> None:
    image = house.engine.add_image(f"{OWN}:1")
    image.tags.add(f"{OTHERS}:1")
    assert (await house.shop.images.inspect(f"{OWN}:1"))["RepoTags"] == [f"{OWN}:1"]
    await refused(house.shop.images.remove(image.id, force=True), Kind.DENIED)
    await house.shop.images.remove(f"{OWN}:1")
    assert image.tags == {f"{OTHERS}:1"}


async def test_base_images_are_read_and_never_changed(house: House) -> None:
    shop = house.shop
    assert (await shop.images.inspect("python:3.11"))["RepoTags"] == ["python:3.11"]
    house.engine.offer("node:18")
    await shop.images.pull("node:18")
    await refused(shop.images.remove("python:3.11"), Kind.DENIED)
    message = await refused(shop.images.tag(f"{OWN}:1", "python", "3.11"), Kind.NOT_FOUND, Kind.DENIED)
    house.engine.add_image(f"{OWN}:1", config={"evil": True})
    message = await refused(shop.images.tag(f"{OWN}:1", "python", "3.11"), Kind.DENIED)
    assert f"name it {OWN}" in message
    await shop.images.tag("python:3.11", OWN, "base")
    await refused(shop.images.load(b""), Kind.DENIED)
    await refused(shop.images.import_(b"", "python", "3.11"), Kind.DENIED, Kind.INVALID)


async def test_own_images_are_pulled_and_pushed_with_the_jobs_sign_in(house: House) -> None:
    house.engine.offer(f"{OWN}:1")
    await house.shop.images.pull(f"{OWN}:1", RegistryAuth("gitlab-ci-token", "rjob-x"))
    assert house.engine.pulled_with[-1]["password"] == "rjob-x"
    assert (await house.shop.images.push(f"{OWN}:1")).startswith("sha256:")


async def test_two_values_of_one_parameter_are_not_two_chances(house: House) -> None:
    house.engine.offer(f"{OTHERS}:1")
    line = f"POST /images/create?fromImage=python&tag=3.11&fromImage={OTHERS}&tag=1 HTTP/1.1"
    await raw(house.socket, line, None)
    assert all("other" not in path for _, path in house.engine.requests if "images/create" in path)


# -- builds


def context(dockerfile: str, **files: str) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        for name, text in {"Dockerfile": dockerfile, **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return body.getvalue()


async def test_a_build_is_the_projects(house: House) -> None:
    image = await house.shop.images.build(context("FROM python:3.11\nCOPY app /app\n", app="x"), tags=[f"{OWN}:2"])
    query, body = house.engine.builds[-1]
    assert json.loads(query["labels"][0])["riad.project"] == "demo/shop"
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        assert tar.getnames() == ["app", "Dockerfile"]
    assert (await house.shop.images.inspect(image))["Id"] == image
    await refused(house.other.images.inspect(image), Kind.NOT_FOUND)


@pytest.mark.parametrize(
    "dockerfile",
    [
        f"FROM {OTHERS}:1\n",
        f"ARG B=python\nARG C={OTHERS}:1\nFROM ${{C}}\n",
        f"FROM python:3.11\nCOPY --from={OTHERS}:1 /x /x\n",
        f"FROM python:3.11\nRUN --mount=type=bind,from={OTHERS}:1,target=/x cat /x\n",
        f"FROM python:3.11\nONBUILD COPY --from={OTHERS}:1 /x /x\n",
    ],
)
async def test_a_build_does_not_read_another_projects_image(house: House, dockerfile: str) -> None:
    house.engine.add_image(f"{OTHERS}:1", config={"secret": True})
    message = await refused(house.shop.images.build(context(dockerfile)), Kind.DENIED)
    assert "belongs to another project" in message
    assert house.engine.builds == []


async def test_a_build_does_not_read_another_projects_image_by_its_id(house: House) -> None:
    secret = house.engine.add_image(f"{OTHERS}:1", config={"secret": True})
    for name in (secret.id, secret.id[7:], secret.id[7:19]):
        await refused(house.shop.images.build(context(f"FROM {name}\n")), Kind.NOT_FOUND, Kind.INVALID)
    assert house.engine.builds == []


async def test_a_mistake_in_a_dockerfile_is_told_with_its_line(house: House) -> None:
    message = await refused(house.shop.images.build(context("FROM python:3.11\nRUNN x\n")), Kind.INVALID)
    assert "RUNN" in message.upper() and "2" in message


# -- life


async def test_what_a_job_left_running_goes_with_it(house: House) -> None:
    await run(house.shop, name="left")
    await house.shop.networks.create("left-network")
    await run(house.other, name="theirs")
    await house.sockets.close(7)
    assert {container.name for container in house.engine.containers.values()} == {"theirs"}
    assert "left-network" not in house.engine.networks
    assert not Path(house.socket).exists()
    await house.sockets.close(7)


async def test_a_socket_is_opened_once_and_again_after_a_restart(house: House) -> None:
    assert await house.sockets.open("demo/shop", 7) == house.socket
    await run(house.shop, name="web")
    await house.sockets.stop()
    assert await house.sockets.open("demo/shop", 7) == house.socket
    assert [c["Names"] for c in await house.shop.containers.list()] == [["/web"]]


async def test_an_engine_that_is_away_is_said_to_be(house: House) -> None:
    await house.engine.go_away()
    message = await refused(house.shop.containers.list(), Kind.UNAVAILABLE)
    assert "away" in message or "no container engine" in message


# -- the docker command


async def docker(house: House, *arguments: str, stdin: bytes | None = None) -> tuple[int, str]:
    program = shutil.which("docker")
    if program is None:
        pytest.skip("the docker command is not installed")
    environ = {"DOCKER_HOST": f"unix://{house.socket}", "DOCKER_BUILDKIT": "0", "HOME": "/nonexistent"}
    process = await asyncio.create_subprocess_exec(
        program, *arguments, env={"PATH": os.environ["PATH"], **environ},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(stdin), 30)
    return process.returncode or 0, out.decode()


async def test_the_docker_command_runs_builds_and_lists(house: House, tmp_path: Path) -> None:
    house.engine.program("python:3.11", outcome(stdout=b"ran\n", code=4))
    assert await docker(house, "run", "--name", "once", "python:3.11", "true") == (4, "ran\n")
    code, out = await docker(house, "ps", "-a", "--format", "{{.Names}}")
    assert (code, out) == (0, "once\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Dockerfile").write_text("FROM python:3.11\nRUN true\n")
    code, out = await docker(house, "build", "-t", f"{OWN}:3", str(tmp_path / "src"))
    assert code == 0 and "Successfully built" in out, out
    code, out = await docker(house, "build", "-t", "mine", str(tmp_path / "src"))
    assert code == 1 and f"name it {OWN}" in out
    code, out = await docker(house, "run", "-v", "/:/host", "python:3.11")
    assert code == 125 and "cannot mount the host's files" in out
    code, out = await docker(house, "images", "--format", "{{.Repository}}")
    assert set(out.split()) == {"python", OWN}
    code, out = await docker(house, "system", "prune", "-f")
    assert code == 1 and "cannot prune" in out
