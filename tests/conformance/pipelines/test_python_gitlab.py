"""python-gitlab drives pipelines: forge and pipelines behind a real uvicorn, jobs in boxes in memory."""

from __future__ import annotations

import asyncio
import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gitlab
import pytest
from fastapi import FastAPI

from fakes.executor import FakeBox, FakeExecutor
from pipeline_room import PROJECT, Room, make_room
from riad.forge.repositories import Repositories
from riad.forge.source import ForgeSource
from riad.identity import root
from riad.kernel.clock import SystemClock
from riad.pipelines.runner.runner import Runner
from riad.pipelines.service import PipelineService
from riad.protocols import gitlab as forge_api
from riad.protocols.gitlab import pipelines as api
from serving import Serve

TOKEN = "a-token-of-roots"
YAML = """
stages: [test, deploy]
test:
  stage: test
  script: [pytest]
  coverage: '/TOTAL (\\d+)%/'
  artifacts: {paths: [out/], reports: {junit: report.xml}}
deploy: {stage: deploy, script: [ship], when: manual}
"""
REPORT = b'<testsuite name="s"><testcase name="ok"/><testcase name="no"><failure>why</failure></testcase></testsuite>'


@dataclass
class House:
    client: gitlab.Gitlab
    room: Room
    project: Any

    def push(self, yaml: str) -> None:
        """A commit on main, made through the API; nothing here reacts to it."""
        self.project.files.create(
            {"file_path": ".gitlab-ci.yml", "branch": "main", "content": yaml, "commit_message": "Add a pipeline"}
        )


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


async def program(box: FakeBox) -> int:
    box.write(b"TOTAL 87%\n")
    box.files["/builds/demo/app/report.xml"] = REPORT
    box.files["/builds/demo/app/out/a.txt"] = b"made"
    return 0


@pytest.fixture
def house(tmp_path: Path, serve: Serve) -> Iterator[House]:
    executor = FakeExecutor()
    executor.program = program
    room = make_room(tmp_path, executor)
    clock = SystemClock()
    with room.database.write() as session:
        root.ensure(session, password="roots-password", token=TOKEN, clock=clock)
    repositories = Repositories(tmp_path / "repositories")
    source = ForgeSource(room.database, repositories, temporary=tmp_path)
    room.parts = replace(room.parts, source=source)
    room.runner = Runner(room.parts)
    service: PipelineService = replace(room.service, source=source, notify=room.runner.notify)
    app = FastAPI()
    app.include_router(api.router(api.Services(room.database, clock, service, "http://riad.test")))
    app.include_router(forge_api.router(forge_api.Services(room.database, clock, repositories)))
    loop = asyncio.new_event_loop()
    running = loop.create_task(room.runner.run())
    thread = threading.Thread(target=_run, args=(loop, running))
    thread.start()
    client = gitlab.Gitlab(serve(app), private_token=TOKEN, keep_base_url=True)
    group = client.groups.create({"name": "demo", "path": "demo"})
    project = client.projects.create({"name": "app", "path": "app", "namespace_id": group.id})
    assert project.id == PROJECT.id
    room.service = service
    yield House(client, room, project)
    loop.call_soon_threadsafe(running.cancel)
    thread.join(10)
    room.close()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()


def test_a_pipeline_is_created_followed_and_played(house: House):
    house.push(YAML)
    made = house.project.pipelines.create({"ref": "main", "variables": [{"key": "A", "value": "b"}]})
    assert (made.ref, made.source, made.user["username"]) == ("main", "api", "root")
    until(lambda: house.project.pipelines.get(made.id).status == "success")
    assert [p.id for p in house.project.pipelines.list(ref="main", iterator=True)] == [made.id]
    assert house.project.pipelines.latest().id == made.id
    jobs = {job.name: job for job in house.project.pipelines.get(made.id).jobs.list(all=True)}
    assert {name: job.status for name, job in jobs.items()} == {"test": "success", "deploy": "manual"}
    house.project.jobs.get(jobs["deploy"].id).play()
    until(lambda: house.project.jobs.get(jobs["deploy"].id).status == "success")
    assert [v.key for v in house.project.pipelines.get(made.id).variables.list(all=True)] == ["A"]


def test_what_a_job_left_is_read(house: House):
    house.push(YAML)
    made = house.project.pipelines.create({"ref": "main"})
    until(lambda: house.project.pipelines.get(made.id).status == "success")
    job = next(j for j in house.project.jobs.list(all=True) if j.name == "test")
    job = house.project.jobs.get(job.id)
    assert job.coverage == 87
    assert b"TOTAL 87%" in job.trace()
    with zipfile.ZipFile(io.BytesIO(job.artifacts())) as held:
        assert held.namelist() == ["out/a.txt"]
    assert job.artifact("out/a.txt") == b"made"
    assert house.project.artifacts.raw("main", "out/a.txt", "test") == b"made"
    report = house.project.pipelines.get(made.id).test_report.get()
    assert (report.total_count, report.failed_count, report.success_count) == (2, 1, 1)
    job.erase()
    assert house.project.jobs.get(job.id).trace() == b""
    with pytest.raises(gitlab.GitlabGetError):
        house.project.jobs.get(job.id).artifacts()


def test_jobs_and_pipelines_are_retried_canceled_deleted(house: House):
    house.push("job: {script: [x]}")
    made = house.project.pipelines.create({"ref": "main"})
    until(lambda: house.project.pipelines.get(made.id).status == "success")
    job = house.project.jobs.list(all=True)[0]
    again = house.project.jobs.get(job.id).retry()
    assert again["id"] != job.id
    until(lambda: house.project.pipelines.get(made.id).status == "success")
    assert house.project.pipelines.get(made.id).cancel()["status"] == "success"
    assert house.project.pipelines.get(made.id).retry()["status"] == "success"
    until(lambda: not house.room.executor.boxes)
    house.project.pipelines.get(made.id).delete()
    with pytest.raises(gitlab.GitlabGetError):
        house.project.pipelines.get(made.id)


def test_variables_are_kept_and_checked(house: House):
    variables = house.project.variables
    made = variables.create({"key": "TOKEN", "value": "long-enough-secret", "masked": True})
    assert (made.masked, made.protected, made.environment_scope) == (True, False, "*")
    variables.update("TOKEN", {"value": "another-long-secret"})
    assert variables.get("TOKEN").value == "another-long-secret"
    with pytest.raises(gitlab.GitlabCreateError, match="8 characters"):
        variables.create({"key": "SHORT", "value": "abc", "masked": True})
    with pytest.raises(gitlab.GitlabCreateError, match="taken"):
        variables.create({"key": "TOKEN", "value": "x"})
    variables.delete("TOKEN")
    assert variables.list(all=True) == []


def test_lint_tells_line_and_key(house: House):
    house.push(YAML)
    checked = house.project.ci_lint.create({"content": "job:\n  scirpt: x", "include_jobs": True})
    assert not checked.valid
    assert checked.errors == ["line 2: job/scirpt: unknown key `scirpt` (did you mean `script`?)"]
    assert house.project.ci_lint.get(include_jobs=True).valid


def test_a_pipeline_that_cannot_be_says_why(house: House):
    house.push(YAML)
    with pytest.raises(gitlab.GitlabCreateError, match="no branch or tag"):
        house.project.pipelines.create({"ref": "nope"})
    with pytest.raises(gitlab.GitlabGetError):
        house.project.pipelines.get(999)


def test_a_stranger_sees_nothing(house: House):
    house.push(YAML)
    made = house.project.pipelines.create({"ref": "main"})
    anonymous = gitlab.Gitlab(house.client.url, keep_base_url=True)
    with pytest.raises(gitlab.GitlabGetError, match="404"):
        anonymous.projects.get(house.project.id, lazy=True).pipelines.get(made.id)
