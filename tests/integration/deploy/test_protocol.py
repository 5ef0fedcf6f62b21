"""Releases over HTTP: the in-job command, python-gitlab, and Riad's own routes, against a real server process's stack
(uvicorn, FastAPI, SQLite) with engine, edge and registry in memory."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gitlab
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy.orm import Session

from fakes.deploying import APP, World, web_app, world
from fakes.docker_engine import outcome
from forges import Forge
from riad.deploy.in_job import script
from riad.deploy.ports import Job
from riad.forge import projects
from riad.forge.repositories import Repositories
from riad.identity import tokens
from riad.identity.model import Access
from riad.kernel.faults import not_found
from riad.protocols.gitlab import environments
from riad.protocols.gitlab.releasing import Services


@dataclass
class House:
    world: World
    forge: Forge
    url: str
    folder: Path
    jobs: dict[int, Job]
    token: str
    project_id: int

    def job(self, number: int, *, user: str = "root") -> str:
        """A running job of the project; returns its token."""
        user_id = 1
        self.jobs[number] = Job(number, self.project_id, "demo/shop", "a" * 40, "main", 5, user_id)
        with self.world.database.write() as session:
            return tokens.issue_job(
                session, user_id=user_id, project_id=self.project_id, job_id=number, clock=self.world.clock
            )

    async def riad(self, token: str, *arguments: str, tag: str = "v1", **environ: str) -> tuple[int, str]:
        """Runs `riad deploy` as a job would."""
        (self.folder / "riad").write_bytes(script())
        process = await asyncio.create_subprocess_exec(
            "sh", str(self.folder / "riad"), "deploy", *arguments,
            env={
                "PATH": os.environ["PATH"],
                "CI_JOB_TOKEN": token,
                "CI_REGISTRY_IMAGE": APP,
                "CI_COMMIT_SHORT_SHA": tag,
                "RIAD_URL": self.url,
                **environ,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode or 0, out.decode()

    async def get(self, path: str, *, token: str | None = None, method: str = "GET", **body: object) -> httpx.Response:
        headers = {"PRIVATE-TOKEN": token or self.token}
        async with httpx.AsyncClient(base_url=self.url, headers=headers) as client:
            return await client.request(method, path, json=body if method == "POST" else None)

    async def post(self, path: str, *, token: str | None = None, **body: object) -> httpx.Response:
        return await self.get(path, token=token, method="POST", **body)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with world(tmp_path) as made:
        forge = Forge(made.database, Repositories(tmp_path / "repositories"), tmp_path)
        root = forge.user("root", is_admin=True)
        project = forge.project(root, "shop")
        jobs: dict[int, Job] = {}

        def job(session: Session, number: int) -> Job:
            if number not in jobs:
                raise not_found(f"no job {number}")
            return jobs[number]

        reconciler = made.reconciler
        looking = asyncio.create_task(reconciler.run())
        services = Services(
            database=made.database,
            clock=made.clock,
            external_url="http://localhost:8080",
            domain="localhost",
            images=made.registry,
            rollouts=made.runner,
            job=job,
            look_after=reconciler.wake,
        )
        app = FastAPI()
        app.include_router(environments.router(services))
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield House(made, forge, url, tmp_path, jobs, forge.token(root), project.id)
        finally:
            server.should_exit = True
            await serving
            looking.cancel()
            await asyncio.wait([looking])
            listener.close()


async def test_a_job_deploys_and_sees_how_it_goes(house: House) -> None:
    house.world.image("v1", web_app("one"))
    code, out = await house.riad(house.job(7), "--health", "/")
    assert code == 0, out
    assert out.splitlines()[-1] == "release 1 answers on http://shop.localhost:8080"
    assert await house.world.ask() == "one"


async def test_a_job_whose_release_fails_fails_with_the_reason(house: House) -> None:
    house.world.image("v1", outcome(stderr=b"ImportError: nope\n", code=1))
    code, out = await house.riad(house.job(7))
    assert code == 1
    assert "ended with exit code 1" in out and "ImportError: nope" in out


async def test_a_missing_image_is_named_with_the_way_out(house: House) -> None:
    code, out = await house.riad(house.job(7), tag="v9")
    assert code == 1
    assert f"{APP}:v9: no such image; has the job that builds it pushed it?" in out


async def test_wrong_settings_are_all_told(house: House) -> None:
    code, out = await house.riad(house.job(7), "--port", "http", "--health", "up")
    assert code == 1
    assert "--port" in out and "--health" in out


@pytest.mark.parametrize("token", ["rjob-wrong", "rpat-wrong", "personal"])
async def test_only_a_running_job_may_deploy(house: House, token: str) -> None:
    house.world.image("v1", web_app("one"))
    code, out = await house.riad(house.token if token == "personal" else token)
    assert code == 1
    assert "token" in out.lower()
    assert await house.world.ask() is None


async def test_a_second_deploy_of_one_job_takes_up_the_first(house: House) -> None:
    house.world.image("v1", web_app("one", boot=0.3))
    token = house.job(7)
    first, second = await asyncio.gather(house.riad(token), house.riad(token))
    assert first == second
    assert len((await house.get("/api/riad/v1/projects/demo%2Fshop/releases")).json()) == 1


async def test_a_service_name_of_another_project_is_refused(house: House) -> None:
    house.world.image("v1", web_app("one"))
    house.world.request(house.world.image("v0", web_app("zero")), environment="production")
    house.jobs.clear()
    other = house.forge.project(house.forge.user("dana"), "other", group="dana")
    with house.world.database.write() as session:
        token = tokens.issue_job(session, user_id=2, project_id=other.id, job_id=3, clock=house.world.clock)
    house.jobs[3] = Job(3, other.id, "dana/other", "b" * 40, "main", 6, 2)
    code, out = await house.riad(token, "--name", "shop")
    assert code == 1
    assert 'the service name "shop" belongs to environment production of demo/shop' in out


async def test_releases_are_listed_and_rolled_back(house: House) -> None:
    for number, version in enumerate(("v1", "v2"), start=1):
        house.world.image(version, web_app(version))
        assert (await house.riad(house.job(number), "--health", "/", tag=version))[0] == 0
    answer = await house.post(f"/api/riad/v1/projects/{house.project_id}/rollback")
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert (made["number"], made["kind"], made["of"], made["environment"]) == (3, "rollback", 1, "production")
    await house.world.settled()
    assert await house.world.ask() == "v1"
    listed = (await house.get("/api/riad/v1/projects/demo%2Fshop/releases?environment=production")).json()
    assert [(r["number"], r["state"]) for r in listed] == [(3, "live"), (2, "retired"), (1, "retired")]
    assert listed[0]["url"] == "http://shop.localhost:8080"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"release": 9}, 404, "has no release 9"),
        ({"release": 1}, 409, "is what production serves now"),
        ({"release": "1"}, 400, "release is not a number"),
        ({"reason": "x"}, 400, "nothing else"),
        ({"environment": "staging"}, 404, 'no environment "staging" here; there is "production"'),
    ],
)
async def test_a_roll_back_that_cannot_be_is_refused(
    house: House, body: dict[str, Any], status: int, message: str
) -> None:
    house.world.image("v1", web_app("one"))
    await house.riad(house.job(1))
    answer = await house.post("/api/riad/v1/projects/demo%2Fshop/rollback", **body)
    assert (answer.status_code, message in answer.text.replace('\\"', '"')) == (status, True), answer.text


async def test_who_may_not_push_may_not_roll_back(house: House) -> None:
    house.world.image("v1", web_app("one"))
    await house.riad(house.job(1))
    path = "/api/riad/v1/projects/demo%2Fshop/rollback"
    stranger, guest = house.forge.user("stranger"), house.forge.user("guest")
    project = next(iter(house.jobs.values()))
    with house.world.database.read() as session:
        found = projects.get(session, project.project_id)
    house.forge.member(found, guest, Access.REPORTER)
    assert (await house.post(path, token=house.forge.token(stranger))).status_code == 404
    assert (await house.post(path, token=house.forge.token(guest))).status_code == 403
    assert (await house.post(path, token=house.job(2))).status_code == 403
    assert (await house.get("/api/riad/v1/projects/demo%2Fshop/releases", token="rpat-wrong")).status_code == 401


async def test_python_gitlab_sees_environments_and_deployments(house: House) -> None:
    house.world.image("v1", web_app("one"))
    await house.riad(house.job(7), CI_ENVIRONMENT_NAME="staging")

    def look() -> None:
        client = gitlab.Gitlab(house.url, private_token=house.token)
        project = client.projects.get(house.project_id, lazy=True)
        (environment,) = project.environments.list(get_all=True)
        assert (environment.name, environment.state, environment.tier) == ("staging", "available", "staging")
        assert environment.external_url == "http://shop.localhost:8080"
        (deployment,) = project.deployments.list(get_all=True)
        assert (deployment.status, deployment.sha, deployment.deployable["id"]) == ("success", "a" * 40, 7)
        assert project.deployments.get(deployment.id).environment["name"] == "staging"
        assert project.environments.get(environment.id).last_deployment["id"] == deployment.id
        assert project.deployments.list(status="failed", get_all=True) == []
        with pytest.raises(gitlab.GitlabError) as caught:
            project.deployments.get(99)
        assert caught.value.response_code == 404

    await asyncio.to_thread(look)


async def test_a_stopped_environment_answers_no_more_and_its_place_is_free(house: House) -> None:
    house.world.image("v1", web_app("one"))
    await house.riad(house.job(7))
    await house.world.settled()

    def stop_and_delete() -> None:
        client = gitlab.Gitlab(house.url, private_token=house.token)
        project = client.projects.get(house.project_id, lazy=True)
        environment = project.environments.list(get_all=True)[0]
        with pytest.raises(gitlab.GitlabError, match="stop it first"):
            environment.delete()
        environment.stop()

    await asyncio.to_thread(stop_and_delete)
    await house.world.until(lambda: not house.world.containers())
    assert await house.world.ask() is None
    code, _ = await house.riad(house.job(8), CI_ENVIRONMENT_NAME="production")
    assert code == 0
    assert await house.world.ask() == "one"


async def test_a_link_that_would_run_a_script_is_no_address(house: House) -> None:
    url = f"/api/v4/projects/{house.project_id}/environments"
    refused = await house.post(url, name="review", external_url="javascript:alert(1)")
    assert (refused.status_code, "is not an http(s) address" in refused.text) == (400, True)
    assert (await house.post(url, name="review", external_url="https://review.example")).status_code == 201
