from __future__ import annotations

import asyncio
import time

import pytest

from riad.dockerclient.client import DockerClient
from riad.pipelines import store
from riad.pipelines.status import Status

pytestmark = pytest.mark.root


async def test_a_job_runs_at_its_commit_with_its_variables_and_tells_it_live(room):
    room.source.add({"greeting.txt": "hello from the commit\n"})
    pipeline = room.made("""
variables: {WHO: world}
job:
  script:
    - cat greeting.txt
    - echo "hello $WHO in $CI_PROJECT_PATH at $PWD"
    - |
      if true; then
        echo many lines
      fi
  after_script: [echo after $CI_JOB_STATUS]
""")
    async with room.running():
        view = await room.finished(pipeline, 60)
    log = room.log("job")
    assert view.status is Status.SUCCESS, log
    assert "hello from the commit" in log
    assert "hello world in demo/app at /builds/demo/app" in log
    assert "$ cat greeting.txt" in log
    assert "if true; then # collapsed multi-line command" in log
    assert "after success" in log


async def test_a_failing_command_ends_the_job_with_its_own_code(room):
    pipeline = room.made("job: {script: [echo one, sh -c 'exit 7', echo never]}")
    async with room.running():
        view = await room.finished(pipeline, 60)
    assert view.jobs[0].exit_code == 7
    assert "\nnever" not in room.log("job")


async def test_artifacts_go_from_container_to_container(room):
    pipeline = room.made("""
make:
  stage: build
  script: [mkdir -p out/deep, echo made > out/deep/a.txt, echo "V=1" > build.env]
  artifacts: {paths: ["out/**/*.txt"], reports: {dotenv: build.env}}
use: {stage: test, script: [cat out/deep/a.txt, 'echo "V is $V"']}
""")
    async with room.running():
        view = await room.finished(pipeline, 60)
    assert view.status is Status.SUCCESS, room.log("make") + room.log("use")
    assert "V is 1" in room.log("use")


async def test_an_image_with_a_user_owns_its_checkout(room):
    room.source.add({"a.txt": "x"})
    pipeline = room.made("job: {image: 'job-user:1', script: [id -u, echo y >> a.txt, cat a.txt]}")
    async with room.running():
        view = await room.finished(pipeline, 60)
    assert view.status is Status.SUCCESS, room.log("job")
    assert "1000" in room.log("job")


async def test_a_canceled_job_ends_soon_and_runs_its_after_script(room):
    pipeline = room.made("job: {script: [echo started, sleep 600], after_script: [echo tidied]}")
    async with room.running():
        await room.until(lambda: "started" in room.log("job").splitlines(), 30)
        began = time.monotonic()
        room.service.cancel_pipeline(pipeline)
        view = await room.finished(pipeline, 60)
    assert view.status is Status.CANCELED
    assert "tidied" in room.log("job").splitlines()
    assert time.monotonic() - began < 10


async def test_a_service_is_reached_by_its_alias(room):
    pipeline = room.made("""
job:
  services: [{name: "job-base:1", alias: db, entrypoint: [""], command: ["sleep", "100"]}]
  script: [getent hosts db, getent hosts job-base]
""")
    async with room.running():
        view = await room.finished(pipeline, 60)
    assert view.status is Status.SUCCESS, room.log("job")


async def test_nothing_of_a_job_stays_in_the_engine(room, engine):
    pipeline = room.made("""
job: {services: [{name: "job-base:1", command: ["sleep", "100"]}], script: [echo x]}
""")
    async with room.running(), DockerClient(engine.host) as docker:
        await room.finished(pipeline, 60)
        with room.database.read() as session:
            name = store.job(session, room.job("job").id).container
        async with asyncio.timeout(30):
            while name in str([*await docker.containers.list(stopped=True), *await docker.networks.list()]):  # noqa: ASYNC110 -- the end is told to nobody
                await asyncio.sleep(0.05)
    assert not room.tokens.live


async def test_a_killed_engine_and_server_lose_nothing_of_a_running_job(room, engine):
    room.source.add({"go.sh": "echo first; sleep 3; echo second\n"})
    pipeline = room.made("job: {script: [sh go.sh]}")
    async with room.running():
        await room.until(lambda: "first" in room.log("job").splitlines(), 30)
        engine.kill()
    room.restarted()
    async with room.running():
        engine.start()
        view = await room.finished(pipeline, 60)
    log = room.log("job")
    assert view.status is Status.SUCCESS, log
    assert (log.splitlines().count("first"), log.splitlines().count("second")) == (1, 1)


async def test_riads_own_share_of_a_job_is_small(room):
    """The bar for everything but the script is about 0.6 s; a loaded test machine is given some air."""
    room.source.add({f"file{n}.txt": "x" * 1000 for n in range(50)})
    yaml = "job: {script: ['true']}"
    took = []
    async with room.running():
        for _ in range(3):
            began = time.monotonic()
            await room.finished(room.made(yaml), 60)
            took.append(time.monotonic() - began)
    assert min(took) < 2, took
