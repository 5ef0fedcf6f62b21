"""The in-job command, run by real shells with real HTTP clients against a server that plays Riad."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from riad.deploy.in_job import script
from riad.deploy.request import DeployRequest, parse

SHELLS = [name for name in ("dash", "bash", "busybox") if shutil.which(name)]
CLIENTS = [name for name in ("curl", "python3", "wget", "bash") if shutil.which(name)]
TOOLS = ("mktemp", "wc", "rm", "sleep", "cat", "printf", "seq")

Answer = list[str]


@dataclass
class Played:
    """`answers`: what each request gets, the last one again and again; an answer without a result is cut off."""

    answers: list[Answer]
    port: int = 0
    requests: list[DeployRequest] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    status: int = 200


@asynccontextmanager
async def played(*answers: Answer) -> AsyncIterator[Played]:
    riad = Played(list(answers))

    async def deploy(request: web.Request) -> web.StreamResponse:
        riad.tokens.append(request.headers.get("JOB-TOKEN"))
        riad.requests.append(parse((await request.read()).decode()))
        answer = riad.answers.pop(0) if len(riad.answers) > 1 else riad.answers[0]
        response = web.StreamResponse(status=riad.status, headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        for line in answer:
            await response.write(line.encode() + b"\n")
        return response

    app = web.Application()
    app.router.add_post("/api/riad/v1/jobs/deploy", deploy)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    riad.port = runner.addresses[0][1]
    try:
        yield riad
    finally:
        await runner.cleanup()


Run = Callable[..., "asyncio.Future[tuple[int, str, str]]"]


@pytest.fixture
def job(tmp_path: Path):
    """Runs the command with one shell, and of HTTP clients only the one named on the PATH."""

    async def run(
        riad: Played | None, *arguments: str, shell: str = SHELLS[0], client: str = CLIENTS[0], **environ: str
    ):
        tools = tmp_path / f"{shell}-{client}"
        tools.mkdir(exist_ok=True)
        for name in {*TOOLS, client} - {""}:
            found = shutil.which(name, path="/usr/bin:/bin")
            if found and not (tools / name).exists():
                (tools / name).symlink_to(found)
        (tmp_path / "riad").write_bytes(script())
        found_shell = shutil.which(shell)
        assert found_shell is not None
        words = [found_shell, *(["sh"] if shell == "busybox" else []), str(tmp_path / "riad"), *arguments]
        variables = {
            "PATH": str(tools),
            "CI_JOB_TOKEN": "rjob-secret",
            "CI_REGISTRY_IMAGE": "localhost:8080/demo/shop",
            "CI_COMMIT_SHORT_SHA": "abc12345",
            "http_proxy": "http://127.0.0.1:1",
            **({"RIAD_URL": f"http://127.0.0.1:{riad.port}"} if riad else {}),
            **environ,
        }
        process = await asyncio.create_subprocess_exec(
            *words, env=variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode, out.decode(), err.decode()

    return run


GOOD = ["> rolling out", "> release 1 answers on http://shop.localhost:8080", "riad: result success"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_every_shell_and_client_deploys_and_shows_how_it_goes(job, shell: str, client: str) -> None:
    async with played(GOOD) as riad:
        code, out, err = await job(
            riad, "deploy", "--port", "5000", "--health=/health", "--env", "KEY=two\nlines \\n 'quoted' $HOME ü =",
            "--env", "EMPTY=", shell=shell, client=client, CI_ENVIRONMENT_NAME="staging",
        )  # fmt: skip
    assert (code, out, err) == (0, "rolling out\nrelease 1 answers on http://shop.localhost:8080\n", "")
    (request,) = riad.requests
    assert (request.image, request.environment) == ("localhost:8080/demo/shop:abc12345", "staging")
    assert (request.settings.port, request.settings.health_path) == (5000, "/health")
    assert request.settings.environ == {"KEY": "two\nlines \\n 'quoted' $HOME ü =", "EMPTY": ""}
    assert riad.tokens == ["rjob-secret"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_failed_rollout_fails_the_job_with_its_reason(job, shell: str, client: str) -> None:
    async with played(["> not healthy", "> last log lines:", ">   Traceback", "riad: result failed"]) as riad:
        code, out, _ = await job(riad, "deploy", shell=shell, client=client)
    assert (code, out) == (1, "not healthy\nlast log lines:\n  Traceback\n")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_lost_connection_is_taken_up_after_the_lines_already_shown(job, shell: str, client: str) -> None:
    async with played(["> one", "> two"], ["> three", "riad: result success"]) as riad:
        code, out, err = await job(riad, "deploy", shell=shell, client=client)
    assert (code, out) == (0, "one\ntwo\nthree\n")
    assert "connection to Riad was lost" in err
    assert [request.after for request in riad.requests] == [0, 2]


async def test_a_page_of_the_edge_is_not_taken_for_an_answer(job) -> None:
    async with played(["<html>Riad is starting</html>"], GOOD) as riad:
        code, out, _ = await job(riad, "deploy")
    assert code == 0
    assert "html" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["deploy", "--replicas", "3"], "--replicas is no option of deploy"),
        (["deploy", "--port"], "--port needs a value"),
        (["deploy", "shop"], '"shop" is no option of deploy'),
        (["launch"], '"launch" is not a command here'),
    ],
)
async def test_a_wrong_option_is_named(job, arguments: list[str], message: str) -> None:
    code, out, err = await job(None, *arguments, RIAD_URL="http://127.0.0.1:1")
    assert (code, out) == (2, "")
    assert message in err and "usage: riad deploy" in err if "needs" not in message else message in err


async def test_outside_of_a_job_it_says_so(job) -> None:
    code, _, err = await job(None, "deploy", CI_JOB_TOKEN="")
    assert code == 2
    assert "works in a job" in err
    code, _, err = await job(None, "deploy")
    assert code == 2
    assert "neither RIAD_URL nor CI_SERVER_URL" in err


async def test_an_image_without_any_client_is_told_which_to_install(job) -> None:
    async with played(GOOD) as riad:
        code, _, err = await job(riad, "deploy", client="")
    assert code != 0
    assert "none of curl, python3, wget and bash" in err


async def test_help_is_help(job) -> None:
    code, out, _ = await job(None, "deploy", "--help")
    assert code == 0
    assert "usage: riad deploy" in out
