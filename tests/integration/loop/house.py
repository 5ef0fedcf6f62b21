"""A whole Riad of its own for tests: engine, server and edge under the supervisor, in a temporary home."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[3] / "examples" / "flask-hello"


@dataclass
class House:
    folder: Path
    port: int
    environ: dict[str, str] = field(default_factory=dict)

    @classmethod
    def build(cls, folder: Path) -> House:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        # Unix socket paths are short: the run folder lies beside pytest's deep ones.
        run = Path("/run") / f"riad-test-{os.getpid()}-{port}"
        home = {"RIAD_HOME": str(folder), "RIAD_RUN": str(run), "RIAD_PORT": str(port)}
        return cls(folder, port, {**os.environ, **home})

    def riad(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "riad.cli.main", *arguments]
        done = subprocess.run(command, env=self.environ, text=True, capture_output=True, check=False, timeout=600)
        assert not check or done.returncode == 0, f"riad {arguments}: {done.stdout}{done.stderr}{self.logs()}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.riad(*arguments, "--json").stdout)

    def logs(self) -> str:
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            for log in sorted((self.folder / "logs").glob("*.log"))
        )

    def up(self) -> None:
        self.riad("up")

    def close(self) -> None:
        self.riad("down", check=False)
        shutil.rmtree(self.environ["RIAD_RUN"], ignore_errors=True)

    # -- what a user does

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def token(self) -> str:
        return (self.folder / "server" / "command.token").read_text().strip()

    def repository(self, folder: Path, project: str) -> Repository:
        return Repository(self, folder, project)

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

    def pid(self, part: str) -> int:
        found = json.loads((Path(self.environ["RIAD_RUN"]) / "supervisor.json").read_text())
        return int(found["parts"][part]["pid"])

    def kill(self, *parts: str) -> None:
        """SIGKILL, as an out-of-memory killer would."""
        for pid in [self.pid(part) for part in parts]:
            os.kill(pid, signal.SIGKILL)

    def pipeline(self, project: str, sha: str, *, within: float = 120) -> Any:
        """The pipeline of a commit with its jobs, once it has ended."""

        def ended() -> Any:
            done = self.riad("pipeline", "list", project, "--json", check=False)
            if done.returncode != 0:
                return None  # the server is just being started again
            found = [each for each in json.loads(done.stdout) if each["sha"] == sha]
            if not found or found[0]["status"] not in ("success", "failed", "canceled", "skipped"):
                return None
            return self.json("pipeline", "show", project, str(found[0]["id"]))

        return eventually(ended, within=within, why=self.logs)

    def log(self, project: str, job: int) -> str:
        return self.riad("pipeline", "log", project, str(job)).stdout


@dataclass
class Repository:
    """A working copy with `origin` in the house and its credentials at hand."""

    house: House
    folder: Path
    project: str

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        identity = {
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@localhost",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@localhost",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "HOME": str(self.folder.parent),
        }  # fmt: skip
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**kept, **identity},
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done

    def start_from(self, example: Path) -> None:
        shutil.copytree(example, self.folder)
        self.git("init", "--quiet", "--initial-branch=main")
        remote = f"http://root:{self.house.token}@localhost:{self.house.port}/{self.project}.git"
        self.git("remote", "add", "origin", remote)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.git("push", "--set-upstream", "origin", "main", check=check)

    def push_change(self, message: str) -> str:
        sha = self.commit(message)
        self.push()
        return sha


def eventually(check: Callable[[], Any], *, within: float = 30, why: Callable[[], str] = lambda: "") -> Any:
    """What `check` returns once it is true. Fails with `why()` after `within` seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.1)
    raise AssertionError(f"it never came\n{why()}")
