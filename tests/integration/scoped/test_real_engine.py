"""A job's docker commands through its socket, to Riad's engine."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine_fixture import BASE, RunningEngine, running_engine
from riad.dockerclient.scoped.sockets import ScopedSockets

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, ("docker", "runc", "conmon"))),
        reason="needs root, docker, runc and conmon",
    ),
]
OWN = "localhost:8080/demo/shop"


@dataclass
class Job:
    socket: str

    async def docker(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        environ = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0", "HOME": "/none"}
        process = await asyncio.create_subprocess_exec(
            "docker", *arguments, env={"PATH": os.environ["PATH"], **environ},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        assert process.returncode == code, out.decode()
        return out.decode().replace("\r\n", "\n").rstrip("\n")


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@pytest.fixture
async def jobs(engine: RunningEngine, tmp_path: Path) -> AsyncIterator[tuple[Job, Job]]:
    sockets = ScopedSockets(engine.host, engine.root / "jobs", "localhost:8080")
    yield Job(await sockets.open("demo/shop", 1)), Job(await sockets.open("other/secret", 2))
    await sockets.close(1)
    await sockets.close(2)
    assert engine.out("ps", "-aq") == ""
    assert engine.out("network", "ls", "-q", "--filter", "label=riad.scoped") == ""


async def test_run_exec_copy_and_logs_work_as_without_the_socket(jobs: tuple[Job, Job], tmp_path: Path) -> None:
    job, _ = jobs
    assert await job.docker("run", "--rm", BASE, "sh", "-c", "echo out; exit 3", code=3) == "out"
    assert await job.docker("run", "--rm", "-i", BASE, "tr", "a-z", "A-Z", stdin="shout") == "SHOUT"
    await job.docker("run", "-d", "--name", "web", BASE, "sh", "-c", "echo started; sleep 60")
    assert await job.docker("exec", "-i", "web", "cat", stdin="through") == "through"
    (tmp_path / "file").write_text("copied")
    await job.docker("cp", str(tmp_path / "file"), "web:/tmp/file")
    assert await job.docker("exec", "web", "cat", "/tmp/file") == "copied"
    assert await job.docker("logs", "web") == "started"
    assert await job.docker("ps", "--format", "{{.Names}}") == "web"
    await job.docker("stop", "-t", "0", "web")


async def test_networks_and_volumes_are_the_projects(jobs: tuple[Job, Job]) -> None:
    job, other = jobs
    await job.docker("network", "create", "backend")
    await job.docker("volume", "create", "data")
    await job.docker("run", "-d", "--network", "backend", "--name", "db", "-v", "data:/data", BASE, "sleep", "60")
    assert "db" in await job.docker(
        "run", "--rm", "--network", "backend", "-v", "data:/data", BASE, "getent", "hosts", "db"
    )
    assert await job.docker("network", "ls", "--format", "{{.Name}}") == "backend"
    assert await other.docker("network", "ls", "--format", "{{.Name}}") == ""
    assert await other.docker("volume", "ls", "-q") == ""
    assert "not found" in await other.docker("run", "--rm", "--network", "backend", BASE, "true", code=125)
    assert "taken by somebody else" in await other.docker("run", "--rm", "-v", "data:/d", BASE, "true", code=125)
    assert "No such container" in await other.docker("exec", "db", "env", code=1)
    await job.docker("rm", "-f", "db")
    await job.docker("volume", "rm", "data")


async def test_builds_are_the_projects_and_read_nobody_elses(jobs: tuple[Job, Job], tmp_path: Path) -> None:
    job, other = jobs
    (tmp_path / "Dockerfile").write_text(
        f"FROM {BASE} AS one\nRUN echo secret > /made\nFROM {BASE}\nCOPY --from=one /made /made\n"
    )
    assert "Successfully built" in await job.docker("build", "-t", f"{OWN}:1", str(tmp_path))
    assert await job.docker("run", "--rm", f"{OWN}:1", "cat", "/made") == "secret"
    image = await job.docker("image", "inspect", "-f", "{{.Id}}", f"{OWN}:1")
    assert f"{OWN}:1" in await job.docker("images", "--format", "{{.Repository}}:{{.Tag}}")
    assert await other.docker("images", "--format", "{{.Repository}}:{{.Tag}}") == BASE
    for name in (f"{OWN}:1", image):
        await other.docker("image", "inspect", name, code=1)
        await other.docker("run", "--rm", name, "cat", "/made", code=125)
        (tmp_path / "Dockerfile").write_text(f"FROM {name}\nRUN cat /made\n")
        assert "Step 2" not in await other.docker("build", str(tmp_path), code=1)
    await job.docker("rmi", f"{OWN}:1")


async def test_a_build_is_cached_through_the_socket(jobs: tuple[Job, Job], tmp_path: Path) -> None:
    job, _ = jobs
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nCOPY app /app\nRUN echo built > /made\n")
    (tmp_path / "app").write_text("x")
    await job.docker("build", "-t", f"{OWN}:c", str(tmp_path))
    again = await job.docker("build", "-t", f"{OWN}:c", str(tmp_path))
    assert again.count("Using cache") >= 2, again
    await job.docker("rmi", f"{OWN}:c")


@pytest.mark.parametrize(
    "options",
    [
        ("--privileged",), ("-v", "/:/host"), ("--pid", "host"), ("--network", "host"), ("--device", "/dev/null"),
        ("--cap-add", "SYS_ADMIN"), ("--security-opt", "seccomp=unconfined"), ("-p", "8080:80"),
        ("--restart", "always"), ("--userns", "host"), ("--ipc", "host"), ("--uts", "host"),
        ("--cgroup-parent", "/x"), ("--mount", "type=bind,source=/,target=/host"), ("--label", "riad.scoped=x"),
        ("--name", "riad-shop-r1"), ("--security-opt", "systempaths=unconfined"), ("--cgroupns", "host"),
        ("--mount", "type=volume,target=/h,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/"),
    ],
)  # fmt: skip
async def test_what_reaches_the_host_is_refused(jobs: tuple[Job, Job], options: tuple[str, ...]) -> None:
    out = await jobs[0].docker("run", *options, BASE, "true", code=125)
    assert "riad: " in out
