"""The stock buildx against a real engine. Skipped where docker has no buildx plugin."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_fixture import RunningEngine, Said, running_engine

_PLUGINS = (
    *os.environ.get("RIAD_CLI_PLUGINS", "").split(":"),
    str(Path.home() / ".docker/cli-plugins"),
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
)


def _folder(plugin: str) -> str | None:
    return next((folder for folder in _PLUGINS if folder and (Path(folder) / plugin).exists()), None)


pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(_folder("docker-buildx") is None, reason="docker has no buildx plugin here"),
]


class Buildx:
    def __init__(self, engine: RunningEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        config = engine.root / "client"
        config.mkdir(exist_ok=True)
        extra = sorted({folder for folder in map(_folder, ("docker-buildx", "docker-compose")) if folder})
        (config / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": extra}))

    def write(self, files: dict[str, str]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def run(self, *args: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Said:
        done = subprocess.run(
            ["docker", *args], input=stdin, capture_output=True, timeout=120, cwd=self.folder,
            env={**self.engine.environ, **(env or {})},
        )  # fmt: skip
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def build(self, dockerfile: str, *args: str, **files: str) -> Said:
        self.write({"Dockerfile": dockerfile, **files})
        return self.run("buildx", "build", "--progress=plain", "-t", "made:1", *args, ".")

    def cat(self, path: str, image: str = "made:1") -> str:
        done = self.run("run", "--rm", image, "cat", path)
        assert done.code == 0, done.err
        return done.out


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


@pytest.fixture
def buildx(engine: RunningEngine, tmp_path: Path) -> Buildx:
    return Buildx(engine, tmp_path)


def test_a_build_shows_its_steps_and_gives_an_image(buildx: Buildx) -> None:
    done = buildx.build("FROM base:1\nCOPY a /a\nRUN echo hello from $(cat /a)\n", a="file")
    assert done.code == 0, done.err
    assert "[2/3] COPY a /a" in done.err
    assert "hello from file" in done.err
    assert "naming to docker.io/library/made:1 done" in done.err
    assert buildx.cat("/a") == "file"
    again = buildx.build("FROM base:1\nCOPY a /a\nRUN echo hello from $(cat /a)\n", a="file")
    assert again.err.count("CACHED") == 2


def test_a_failure_shows_the_lines_around(buildx: Buildx) -> None:
    done = buildx.build("FROM base:1\nENV A=1\nRUN exit 3\nENV B=2\n")
    assert done.code == 1
    assert "Dockerfile:3" in done.err
    assert "   3 | >>> RUN exit 3" in done.err
    assert 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3' in done.err


def test_quiet_prints_the_image(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM base:1\n"})
    done = buildx.run("build", "-q", ".")
    assert done.out.startswith("sha256:")
    assert buildx.run("image", "inspect", done.out.strip()).code == 0


def test_secrets_come_from_files_and_the_environment(buildx: Buildx) -> None:
    buildx.write({"token": "from file"})
    text = (
        "FROM base:1\nRUN --mount=type=secret,id=a cat /run/secrets/a\n"
        "RUN --mount=type=secret,id=b,target=/b cat /b\nRUN --mount=type=secret,id=c,required true\n"
    )
    done = buildx.build(text, "--secret", "id=a,src=token", "--secret", "id=b,env=TOKEN")
    assert "from file" in done.err
    assert "secret c: not found" in done.err
    buildx.write({"Dockerfile": "FROM base:1\nRUN --mount=type=secret,id=b,target=/b cat /b && true\n"})
    done = buildx.run("build", "--progress=plain", "--secret", "id=b,env=TOKEN", ".", env={"TOKEN": "from env"})
    assert "from env" in done.err


def test_keys_are_used_through_the_forwarded_agent(buildx: Buildx) -> None:
    if shutil.which("ssh-agent") is None:
        pytest.skip("needs ssh-agent")
    socket = buildx.engine.root / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        text = (
            'FROM base:1\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo there\nRUN test -z "$SSH_AUTH_SOCK"\n'
        )
        done = buildx.build(text, "--ssh", f"default={socket}")
        assert done.code == 0, done.err
        assert "there" in done.err
    finally:
        agent.terminate()
        agent.wait()
