"""The rules of `riad.pipelines.runner.executor`, on the fake and on the Docker executor over an engine in memory."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from fakes.docker_engine import FakeDockerEngine
from fakes.executor import FakeExecutor
from riad.dockerclient.client import DockerClient
from riad.kernel.faults import Fault, Kind
from riad.pipelines.language.model import Image
from riad.pipelines.runner.docker_executor import DockerExecutor
from riad.pipelines.runner.executor import Executor, ImageUnavailable, Life, Login, Order, Owner

IMAGE = "job:1"


@dataclass
class Place:
    """`release` lets a running box end."""

    executor: Executor
    release: asyncio.Event
    engine: FakeDockerEngine | None = None


async def until_released(place: Any, write: Any) -> int:
    write(b"begun\n")
    await place.release.wait()
    write(b"ended\n")
    return 4


@pytest.fixture(params=["fake", "docker"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "fake":
        fake = FakeExecutor()
        fake.missing = {"nobody:1"}
        made = Place(fake, asyncio.Event())
        fake.program = lambda box: until_released(made, box.write)
        yield made
        return
    async with FakeDockerEngine(tmp_path / "engine.sock") as engine, DockerClient(engine.host) as docker:
        engine.add_image(IMAGE)
        made = Place(DockerExecutor(docker), asyncio.Event(), engine)

        async def program(container: Any) -> int:
            stopping = asyncio.create_task(container.stopping.wait())
            running = asyncio.create_task(until_released(made, container.write))
            await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            running.cancel()
            return running.result() if running.done() and not running.cancelled() else 143

        engine.program(IMAGE, program)
        yield made


def order(name: str = "box-1", image: str = IMAGE) -> Order:
    return Order(name, Image(image), ("sh", "-c", "x"), "/builds/a/b", {"KEY": "va=lue"}, {"riad.job": "1"})


def tar(path: str, data: bytes) -> BinaryIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(path)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    out.seek(0)
    return out


async def files(owner: Owner) -> BinaryIO:
    return tar("builds/a/b/out/x.txt", b"made")


async def prepared(place: Place) -> None:
    await place.executor.prepare(order(), files, lambda line: None)


async def all_of(executor: Executor, name: str) -> bytes:
    return b"".join([data async for data in executor.output(name)])


async def test_a_prepared_box_has_not_started_and_knows_its_variables(place: Place):
    await prepared(place)
    state = await place.executor.state("box-1")
    assert (state.life, state.started) == (Life.CREATED, None)
    assert (await place.executor.environ("box-1"))["KEY"] == "va=lue"


async def test_preparing_again_begins_anew(place: Place):
    await prepared(place)
    place.release.set()
    await place.executor.start("box-1")
    await place.executor.wait("box-1")
    await prepared(place)
    assert (await place.executor.state("box-1")).started is None


async def test_output_is_everything_from_the_beginning_until_the_end(place: Place):
    await prepared(place)
    await place.executor.start("box-1")
    following = asyncio.create_task(all_of(place.executor, "box-1"))
    place.release.set()
    assert await following == b"begun\nended\n"
    assert await place.executor.wait("box-1") == 4
    assert await all_of(place.executor, "box-1") == b"begun\nended\n"


async def test_starting_what_runs_is_no_error_and_starting_again_is_another_start(place: Place):
    await prepared(place)
    await place.executor.start("box-1")
    first = (await place.executor.state("box-1")).started
    await place.executor.start("box-1")
    assert (await place.executor.state("box-1")).started == first
    place.release.set()
    await place.executor.wait("box-1")
    await place.executor.put("box-1", tar("riad/run", b"x"))
    if place.engine is not None:
        place.engine.container("box-1").created += 1  # this engine tells a start's moment by its creation's
    await place.executor.start("box-1")
    assert (await place.executor.state("box-1")).started != first


async def test_what_a_box_holds_is_fetched_and_what_it_lacks_is_not_found(place: Place):
    await prepared(place)
    data = b"".join([data async for data in place.executor.fetch("box-1", "/builds/a/b/out")])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert "out/x.txt" in archive.getnames()
    with pytest.raises(Fault) as fault:
        async for _ in place.executor.fetch("box-1", "/builds/a/b/none"):
            pass
    assert fault.value.kind is Kind.NOT_FOUND


async def test_an_image_that_nobody_has_is_named(place: Place):
    with pytest.raises(ImageUnavailable, match="nobody:1"):
        await place.executor.prepare(order(image="nobody:1"), files, lambda line: None)


async def test_an_image_whose_registry_cannot_be_reached_is_not_waited_for(place: Place):
    if place.engine is not None:
        place.engine.fail_next("pull", status=503, message="cannot reach a registry for nobody:1")
    with pytest.raises(ImageUnavailable, match="nobody:1"):
        await place.executor.prepare(order(image="nobody:1"), files, lambda line: None)


@pytest.mark.parametrize("policy", [(), ("if-not-present",), ("never",), ("never", "if-not-present")])
async def test_an_image_of_another_project_is_not_had_because_it_is_here(place: Place, policy: tuple[str, ...]):
    if place.engine is None:
        pytest.skip("the fake has no registry")
    name = "riad:8080/other/private:1"
    place.engine.add_image(name)
    asking = replace(order(), image=Image(name, pull_policy=policy), login=Login("riad:8080", "ci", "token"))
    with pytest.raises(ImageUnavailable, match="other/private"):
        await place.executor.prepare(asking, files, lambda line: None)


async def test_a_stopped_box_has_ended(place: Place):
    await prepared(place)
    await place.executor.start("box-1")
    if place.engine is None:
        place.release.set()  # the fake's program ends by itself alone
    await place.executor.stop("box-1", grace=1)
    assert (await place.executor.state("box-1")).life is Life.ENDED


async def test_removing_may_be_repeated_and_takes_everything(place: Place):
    await prepared(place)
    await place.executor.remove("box-1")
    await place.executor.remove("box-1")
    with pytest.raises(Fault) as fault:
        await place.executor.state("box-1")
    assert fault.value.kind is Kind.NOT_FOUND


async def test_a_place_that_is_away_is_unavailable(place: Place):
    await prepared(place)
    if place.engine is not None:
        await place.engine.go_away()
    else:
        assert isinstance(place.executor, FakeExecutor)
        place.executor.away()
    with pytest.raises(Fault) as fault:
        await place.executor.state("box-1")
    assert fault.value.kind is Kind.UNAVAILABLE
