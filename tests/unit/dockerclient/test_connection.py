import asyncio
from pathlib import Path

import pytest

from fakes.docker_engine import FakeDockerEngine, forever, outcome
from riad.dockerclient.client import DockerClient
from riad.dockerclient.images import RegistryAuth
from riad.kernel.faults import Fault, Kind


async def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async with DockerClient(f"unix://{tmp_path}/none.sock") as docker:
        for attempt in (docker.ping(), docker.info(), docker.containers.exec_run("x", ["true"])):
            with pytest.raises(Fault, match="no container engine at unix://") as caught:
                await attempt
            assert caught.value.kind is Kind.UNAVAILABLE


async def test_a_wait_cut_off_by_the_engines_end_is_unavailable_and_can_be_repeated(tmp_path: Path) -> None:
    async with FakeDockerEngine(tmp_path / "e.sock") as engine, DockerClient(engine.host) as docker:
        engine.add_image("app:1")
        engine.program("app:1", forever())
        container = await docker.containers.create({"Image": "app:1"})
        await docker.containers.start(container)
        waiting = asyncio.create_task(docker.containers.wait(container))
        await engine.asked("wait")
        await engine.go_away()
        with pytest.raises(Fault) as caught:
            await waiting
        assert caught.value.kind is Kind.UNAVAILABLE
        await engine.come_back()
        waiting = asyncio.create_task(docker.containers.wait(container))
        await docker.containers.stop(container)
        assert await waiting == 143


async def test_following_logs_fails_when_the_engine_goes_away(tmp_path: Path) -> None:
    async with FakeDockerEngine(tmp_path / "e.sock") as engine, DockerClient(engine.host) as docker:
        engine.add_image("app:1")
        engine.program("app:1", forever(stdout=b"begun\n"))
        container = await docker.containers.create({"Image": "app:1"})
        await docker.containers.start(container)
        logs = docker.containers.logs(container, follow=True)
        assert (await anext(logs)).data == b"begun\n"
        await engine.go_away()
        with pytest.raises(Fault) as caught:
            await anext(logs)
        assert caught.value.kind is Kind.UNAVAILABLE


async def test_a_pull_sends_the_credentials_and_raises_what_is_missing(tmp_path: Path) -> None:
    async with FakeDockerEngine(tmp_path / "e.sock") as engine, DockerClient(engine.host) as docker:
        engine.offer("localhost:8080/demo/app:v1")
        seen: list[str] = []
        await docker.images.pull(
            "localhost:8080/demo/app:v1", RegistryAuth("ana", "secret"), lambda line: seen.append(line.text)
        )
        assert engine.pulled_with[0]["username"] == "ana"
        assert seen == ["Pulling localhost:8080/demo/app:v1", "Download complete"]
        with pytest.raises(Fault) as caught:
            await docker.images.pull("localhost:8080/demo/app:v2")
        assert caught.value.kind is Kind.NOT_FOUND


async def test_a_scripted_failure_happens_once(tmp_path: Path) -> None:
    async with FakeDockerEngine(tmp_path / "e.sock") as engine, DockerClient(engine.host) as docker:
        engine.add_image("app:1")
        engine.program("app:1", outcome(stdout=b"ok"))
        engine.fail_next("start", status=500, message="out of luck")
        container = await docker.containers.create({"Image": "app:1"})
        with pytest.raises(Fault, match="out of luck"):
            await docker.containers.start(container)
        await docker.containers.start(container)


async def test_a_large_archive_is_streamed(tmp_path: Path) -> None:
    async with FakeDockerEngine(tmp_path / "e.sock") as engine, DockerClient(engine.host) as docker:
        image = await docker.images.import_(b"x" * 3_000_000, "base", "1")
        assert image == engine._image("base:1").id
        assert engine._image("base:1").config["Imported"] == 3_000_000
