"""The stock docker CLI and docker-py build against the engine (classic protocol)."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("docker") is None, reason="the docker CLI is not installed"),
]

_APP = """\
FROM base:1
WORKDIR /app
COPY requirements.txt .
RUN echo installing && cat requirements.txt
COPY . .
EXPOSE 5000
CMD ["cat", "app.py"]
"""


@dataclass
class Engine:
    """An engine in a process of its own, so that it can be killed."""

    root: Path
    process: asyncio.subprocess.Process
    socket: str

    async def docker(self, *arguments: str, cwd: Path) -> tuple[int, str]:
        child = await self.start_docker(*arguments, cwd=cwd)
        out, _ = await asyncio.wait_for(child.communicate(), 60)
        assert child.returncode is not None
        return child.returncode, out.decode()

    async def start_docker(self, *arguments: str, cwd: Path) -> asyncio.subprocess.Process:
        environ = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0"}
        return await asyncio.create_subprocess_exec(
            "docker",
            *arguments,
            cwd=cwd,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    @property
    def left_behind(self) -> list[str]:
        mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(self.root) in line]
        run = Path(self.socket).parent
        return [
            *mounts,
            *(str(path) for path in (self.root / "data/build/work").glob("*")),
            *(str(path) for path in (run / "runc").glob("*")),
            *(str(path) for path in (run / "netns").glob("*")),
        ]


@asynccontextmanager
async def running(root: Path) -> AsyncIterator[Engine]:
    tests = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tests / "build_engine.py"),
        str(root),
        env={**os.environ, "PYTHONPATH": f"{tests}:{tests.parent / 'src'}"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        socket = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        yield Engine(root, process, socket)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with running(tmp_path) as found:
        yield found


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write(tmp_path / "app", {"Dockerfile": _APP, "requirements.txt": "flask\n", "app.py": "print(1)\n"})


async def test_the_cli_shows_the_classic_builders_lines(engine: Engine, app: Path) -> None:
    code, text = await engine.docker("build", "-t", "demo/app:1", "-t", "app", ".", cwd=app)
    assert code == 0, text
    for line in (
        "Step 1/7 : FROM base:1",
        "Step 4/7 : RUN echo installing",
        "installing\nflask\n",
        " ---> Running in ",
    ):
        assert line in text
    assert "Successfully tagged demo/app:1\nSuccessfully tagged app:latest\n" in text
    short = text.split("Successfully built ")[1][:12]
    code, listed = await engine.docker("images", "-q", "--no-trunc", "demo/app:1", cwd=app)
    assert listed.startswith(f"sha256:{short}")


async def test_a_rebuild_uses_the_cache_and_gives_the_same_image(engine: Engine, app: Path) -> None:
    _, first = await engine.docker("build", "-q", ".", cwd=app)
    _, text = await engine.docker("build", ".", cwd=app)
    assert text.count("Using cache") == 6
    _, again = await engine.docker("build", "-q", ".", cwd=app)
    assert first.splitlines()[-1] == again.splitlines()[-1]
    (app / "app.py").write_text("print(2)\n")
    _, text = await engine.docker("build", ".", cwd=app)
    assert text.count("Using cache") == 3


async def test_files_behind_dockerignore_stay_out(engine: Engine, app: Path) -> None:
    write(app, {".dockerignore": "secret\n", "secret": "x", "Dockerfile": "FROM base:1\nCOPY . /x\nRUN ls /x\n"})
    _, text = await engine.docker("build", ".", cwd=app)
    assert "app.py" in text and "\nsecret\n" not in text


async def test_a_dockerfile_may_come_from_outside_the_context(engine: Engine, app: Path) -> None:
    write(app.parent, {"other/Df": "FROM base:1\nCOPY . /x\nRUN ls -a /x\n"})
    code, text = await engine.docker("build", "-f", "../other/Df", ".", cwd=app)
    assert code == 0 and "app.py" in text and ".dockerfile." not in text.split("Step 3")[1]


@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        ("FORM base:1\n", "dockerfile parse error on line 1: unknown instruction: FORM (did you mean FROM?)"),
        (
            "FROM base:1\n\nRUN exit 3\n",
            "The command '/bin/sh -c exit 3' returned a non-zero code: 3 (Dockerfile, line 3)",
        ),
        (
            "FROM base:1\nCOPY gone* /\n",
            "dockerfile line 2: COPY failed: file not found in build context or excluded by",
        ),
        ("FROM gone.invalid/x:1\n", "dockerfile line 1: cannot reach a registry for gone.invalid/x:1"),
        ("FROM --platform=linux/s390x base:1\n", "platform linux/s390x is not supported: this engine builds for"),
        ("FROM base:1\nRUN --mount=type=ssh x\n", "dockerfile line 2: RUN --mount=type=ssh is not supported"),
    ],
)
async def test_a_failure_names_the_line_and_the_thing(engine: Engine, app: Path, dockerfile: str, said: str) -> None:
    write(app, {"Dockerfile": dockerfile})
    code, text = await engine.docker("build", ".", cwd=app)
    assert code != 0
    assert said in text
    await gone(engine)


async def test_options_reach_the_build_or_are_refused_by_name(engine: Engine, app: Path) -> None:
    write(
        app,
        {"Dockerfile": "ARG V=1\nFROM base:$V AS one\nARG W\nRUN echo w=$W; cat /etc/hosts\nFROM one\nRUN exit 1\n"},
    )
    code, text = await engine.docker(
        "build", "--build-arg", "W=given", "--target", "one", "--label", "a=b c", "--add-host", "there:10.1.2.3",
        "--network", "none", "--memory", "64m", "--no-cache", "--pull=false", "-t", "opts", ".", cwd=app,
    )  # fmt: skip
    assert code == 0, text
    assert "w=given" in text and "10.1.2.3\tthere" in text
    _, text = await engine.docker("image", "inspect", "-f", "{{json .Config.Labels}}", "opts", cwd=app)
    assert text.strip() == '{"a":"b c"}'
    code, text = await engine.docker("build", "--isolation", "hyperv", ".", cwd=app)
    assert code != 0 and "isolation is for Windows containers" in text


async def test_the_clients_leaving_ends_the_build(engine: Engine, app: Path) -> None:
    write(app, {"Dockerfile": "FROM base:1\nRUN echo started; sleep 1000\n"})
    child = await engine.start_docker("build", ".", cwd=app)
    assert child.stdout is not None
    async with asyncio.timeout(30):
        while b"started" not in await child.stdout.readline():
            pass
        while b"started" not in await child.stdout.readline():
            pass
    child.kill()
    await child.wait()
    await gone(engine)


async def gone(engine: Engine) -> None:
    async with asyncio.timeout(20):
        while engine.left_behind:  # noqa: ASYNC110 -- another process's doing, which nothing tells of
            await asyncio.sleep(0.05)


async def test_a_killed_engine_leaves_nothing_and_keeps_its_cache(tmp_path: Path, app: Path) -> None:
    write(app, {"Dockerfile": "FROM base:1\nRUN echo kept > /x\nRUN echo started; sleep 1000\n"})
    async with running(tmp_path) as engine:
        child = await engine.start_docker("build", ".", cwd=app)
        assert child.stdout is not None
        async with asyncio.timeout(30):
            while not (await child.stdout.readline()).startswith(b"started"):
                pass
        engine.process.kill()
        await engine.process.wait()
        await child.communicate()
        assert child.returncode != 0
        assert engine.left_behind != []
    async with running(tmp_path) as engine:
        assert engine.left_behind == []
        write(app, {"Dockerfile": "FROM base:1\nRUN echo kept > /x\n"})
        _, text = await engine.docker("build", ".", cwd=app)
        assert "Using cache" in text


async def test_docker_py_builds_and_reads_errors(engine: Engine, app: Path) -> None:
    def build() -> tuple[object, list[object]]:
        client = docker.DockerClient(base_url=f"unix://{engine.socket}", version="1.47")
        try:
            image, lines = client.images.build(path=str(app), tag="py:1", buildargs={"X": None}, rm=True)
            assert image.tags == ["py:1"]
            write(app, {"Dockerfile": "FROM base:1\nRUN exit 4\n"})
            with pytest.raises(docker.errors.BuildError) as caught:
                client.images.build(path=str(app))
            assert "returned a non-zero code: 4" in str(caught.value)
            return image, list(lines)
        finally:
            client.close()

    _, lines = await asyncio.to_thread(build)
    assert any("aux" in line for line in lines if isinstance(line, dict))
