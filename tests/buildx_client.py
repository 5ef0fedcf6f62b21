"""The docker client with its plugins buildx and Compose, against a real engine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from engine_fixture import RunningEngine, Said

_FOLDERS = (
    *os.environ.get("RIAD_CLI_PLUGINS", "").split(":"),
    str(Path(__file__).parent.parent / ".cache/peers/root/usr/libexec/docker/cli-plugins"),  # bench/peers.py fetch
    str(Path.home() / ".docker/cli-plugins"),
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
)


def plugin_folder(plugin: str) -> str | None:
    return next((folder for folder in _FOLDERS if folder and (Path(folder) / plugin).exists()), None)


class Buildx:
    def __init__(self, engine: RunningEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        config = engine.root / "client"
        config.mkdir(exist_ok=True)
        extra = sorted({folder for folder in map(plugin_folder, ("docker-buildx", "docker-compose")) if folder})
        (config / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": extra}))

    def write(self, files: dict[str, str]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def run(self, *args: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Said:
        done = subprocess.run(
            ["docker", *args], input=stdin, capture_output=True, timeout=120, cwd=self.folder,
            env={**self.engine.environ, "TMPDIR": str(self.folder), **(env or {})},
        )  # fmt: skip
        return Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode())

    def build(self, dockerfile: str, *args: str, **files: str) -> Said:
        self.write({"Dockerfile": dockerfile, **files})
        return self.run("buildx", "build", "--progress=plain", "-t", "made:1", *args, ".")

    def cat(self, path: str, image: str = "made:1") -> str:
        done = self.run("run", "--rm", image, "cat", path)
        assert done.code == 0, done.err
        return done.out
