"""A whole Riad of its own for tests: engine, server and edge under the supervisor, in a temporary home."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integration.loop import tiny
from ports import free_port

EXAMPLE = Path(__file__).parents[3] / "examples" / "flask-hello"
ENDED = ("success", "failed", "canceled", "skipped")


@dataclass
class House:
    """`folder` has a short path: unix sockets are below it."""

    folder: Path
    port: int
    environ: dict[str, str] = field(default_factory=dict)

    @classmethod
    def build(cls, folder: Path) -> House:
        port = free_port()
        home = {"RIAD_HOME": str(folder), "RIAD_PORT": str(port)}
        # Base images are taken from the cache that everybody uses, or that RIAD_CACHE names.
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == "RIAD_CACHE" or not name.startswith(("RIAD_", "DOCKER_"))
        }
        return cls(folder, port, {**kept, **home, "PYTHONPATH": os.pathsep.join(sys.path)})

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def instance(self) -> str:
        """What the house's engine names its things in the kernel by."""
        return hashlib.sha256(os.fsencode((self.folder / "engine").resolve())).hexdigest()[:8]

    def riad(self, *arguments: str, check: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "riad.cli.main", *arguments]
        done = subprocess.run(
            command, env={**self.environ, **environ}, text=True, capture_output=True, check=False, timeout=600
        )
        assert not check or done.returncode == 0, f"riad {arguments}: {done.stdout}{done.stderr}{self.logs()}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.riad(*arguments, "--json").stdout)

    def logs(self) -> str:
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            for log in sorted((self.folder / "logs").glob("*.log"))
        )

    def up(self) -> None:
        self.riad("up")

    def close(self) -> None:
        """Stops it. Raises where something does not end."""
        self.riad("down")

    # -- what a user does

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def registry(self) -> str:
        return f"localhost:{self.port}"

    @property
    def token(self) -> str:
        return (self.folder / "server" / "command.token").read_text().strip()

    def api(self, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """GET, or POST with a body, under /api. Raises HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api{path}", data=data)
        request.add_header("PRIVATE-TOKEN", token or self.token)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def of(self, project: str, path: str) -> Any:
        """GET of something of a project's."""
        return self.api(f"{_path(project)}/{path}")

    def tags(self, repository: str) -> list[str]:
        """What the registry has of a repository."""
        request = urllib.request.Request(f"{self.url}/v2/{repository}/tags/list")
        request.add_header("Authorization", "Basic " + base64.b64encode(f"root:{self.token}".encode()).decode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return list(json.load(answer)["tags"])

    def docker(self, *arguments: str) -> str:
        """The docker CLI on the house's engine."""
        done = subprocess.run(
            ["docker", "--host", f"unix://{self.run}/engine.sock", *arguments],
            text=True, capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, f"docker {arguments}: {done.stderr}"
        return done.stdout

    def new_project(self, folder: Path, project: str, files: Callable[[Path], object] = tiny.write) -> Repository:
        """A project in the house, and a working copy of it with `files` in it, not yet committed."""
        self.riad("project", "create", project)
        repository = Repository(self, folder, project)
        repository.start_from(files)
        return repository

    def ask(self, service: str, path: str = "/") -> tuple[int, str]:
        """Status and text of a service; (0, reason) where nothing answered."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Host": f"{service}.localhost:{self.port}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)

    def pids(self) -> dict[str, int]:
        """The processes of the parts that run now."""
        found = json.loads((self.run / "supervisor.json").read_text())
        return {name: int(part["pid"]) for name, part in found["parts"].items()}

    def kill(self, *parts: str) -> None:
        """SIGKILL, as an out-of-memory killer would; returns once the supervisor has started others."""
        before = self.pids()
        for part in parts:
            with contextlib.suppress(ProcessLookupError):
                os.kill(before[part], signal.SIGKILL)
        eventually(
            lambda: all(self.pids().get(part, before[part]) != before[part] for part in parts),
            within=60, why=self.logs,
        )  # fmt: skip

    def kill_supervisor(self) -> None:
        """SIGKILL; the parts go on without it."""
        os.kill(json.loads((self.run / "supervisor.json").read_text())["supervisor"]["pid"], signal.SIGKILL)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/readiness", timeout=5):
                return True
        except OSError:
            return False

    def started_pipeline(self, project: str, sha: str, *, within: float = 60) -> Any:
        """The newest pipeline of a commit, as soon as there is one."""

        def found() -> Any:
            try:
                rows = self.of(project, f"pipelines?sha={sha}")
            except OSError:
                return None  # the server is just being started again
            return rows[0] if rows else None

        return eventually(found, within=within, why=self.logs)

    def pipeline(self, project: str, sha: str, *, within: float = 120) -> Any:
        """The pipeline of a commit with its jobs, once it has ended."""
        number = self.started_pipeline(project, sha, within=within)["id"]

        def ended() -> Any:
            try:
                found = self.of(project, f"pipelines/{number}")
                return {**found, "jobs": self.jobs(project, number)} if found["status"] in ENDED else None
            except OSError:
                return None

        return eventually(ended, within=within, why=self.logs)

    def jobs(self, project: str, pipeline: int) -> dict[str, Any]:
        """The jobs of a pipeline by name, the newest of each name."""
        found = self.of(project, f"pipelines/{pipeline}/jobs?per_page=100")
        return {job["name"]: job for job in sorted(found, key=lambda job: int(job["id"]))}

    def succeeds(self, project: str, sha: str, *, within: float = 120) -> Any:
        """Like `pipeline`, and it is a success; the logs of its failed jobs say why not."""
        done = self.pipeline(project, sha, within=within)
        if done["status"] != "success":
            states = {name: (job["status"], job["failure_message"]) for name, job in done["jobs"].items()}
            logs = [self.log(project, job["id"]) for job in done["jobs"].values() if job["status"] == "failed"]
            raise AssertionError("\n".join([f"{done['status']} {done['yaml_errors']} {states}", *logs, self.logs()]))
        return done

    def log(self, project: str, job: int) -> str:
        """What the job has written so far."""
        request = urllib.request.Request(f"{self.url}/api{_path(project)}/jobs/{job}/trace")
        request.add_header("PRIVATE-TOKEN", self.token)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read().decode(errors="replace"))

    def releases(self, project: str) -> list[Any]:
        """Newest first."""
        return list(self.api(f"/riad/v1/projects/{urllib.parse.quote(project, safe='')}/releases"))


@dataclass
class Repository:
    """A working copy with `origin` in the house and its credentials at hand."""

    house: House
    folder: Path
    project: str

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        own = {
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@localhost",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@localhost",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "HOME": str(self.folder.parent),
        }  # fmt: skip
        return {**kept, **own}

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=self.environ,
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done

    def remote(self, *, user: str = "root", token: str | None = None) -> str:
        return f"http://{user}:{token or self.house.token}@localhost:{self.house.port}/{self.project}.git"

    def start_from(self, files: Callable[[Path], object]) -> None:
        files(self.folder)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", self.remote())

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new))

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.git("push", "--set-upstream", "origin", "main", check=check)

    def push_change(self, message: str) -> str:
        """Commits what is there and pushes it; the commit."""
        sha = self.commit(message)
        self.push()
        return sha

    def push_text(self, text: str) -> str:
        """Commits and pushes the tiny project with another text on its page; the commit."""
        lines = (self.folder / "app.py").read_text().splitlines(keepends=True)
        self.write("app.py", "".join(f'TEXT = "{text}"\n' if line.startswith("TEXT = ") else line for line in lines))
        return self.push_change(f"Say {text}")


@contextmanager
def open_house(folder: Path, *, images: tuple[str, ...] = ("python:3.11", "docker:cli")) -> Iterator[House]:
    """A house that is up and has base images; nothing of it stays."""
    house = House.build(folder)
    try:
        house.up()
        if images:
            house.riad("base", "build", *images)
        yield house
    finally:
        house.close()


def _path(project: str) -> str:
    return f"/v4/projects/{urllib.parse.quote(project, safe='')}"


def eventually(check: Callable[[], Any], *, within: float = 30, why: Callable[[], str] = lambda: "") -> Any:
    """What `check` returns once it is true. Fails with `why()` after `within` seconds."""
    deadline, pause = time.monotonic() + within, 0.02
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(pause)
        pause = min(0.2, pause * 1.3)
    raise AssertionError(f"it never came\n{why()}")
