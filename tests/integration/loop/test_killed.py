"""`kill -9` of server, engine or both at any moment of a push: nothing acknowledged is lost, the service never notices.

One house lives through all of it, with a client that asks the deployed service 20 times a second and is never refused.
After each kill the pipeline finishes or fails with a reason, and nothing of its jobs is left.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import leftovers
from integration.loop.house import House, Repository, eventually, open_house
from integration.loop.traffic import Traffic

pytestmark = [pytest.mark.root, pytest.mark.slow]

PROJECT = "killed/app"
BOTH = ("server", "engine")
EACH = pytest.mark.parametrize("victims", [("server",), ("engine",), BOTH], ids="+".join)


@dataclass
class Scene:
    house: House
    repository: Repository
    traffic: Traffic
    version: int = 1

    def push(self, **changes: tuple[str, str]) -> tuple[str, Any]:
        """Pushes the next version; its commit and pipeline. `changes` of files (`_` for `.`) are for it alone."""
        self.version += 1
        names = {name: name.replace("_", ".").replace("gitlab.ci", "gitlab-ci") for name in changes}
        for name, (old, new) in changes.items():
            self.repository.replace(names[name], old, new)
        sha = self.repository.push_text(f"version {self.version}")
        for name, (old, new) in changes.items():
            self.repository.replace(names[name], new, old)
        return sha, self.house.started_pipeline(PROJECT, sha)["id"]

    def job(self, pipeline: int, name: str) -> Any:
        return self.house.jobs(PROJECT, pipeline)[name]

    def until(self, pipeline: int, name: str, said: str) -> int:
        """Returns the job's number once its log has a line with `said` that is not the command itself."""
        number = int(self.job(pipeline, name)["id"])
        eventually(
            lambda: any(said in line and "$ " not in line for line in self.log(number).splitlines()),
            within=60, why=lambda: self.log(number) + self.house.logs(),
        )  # fmt: skip
        return number

    def log(self, number: int) -> str:
        return self.house.log(PROJECT, number)

    def answers(self) -> str:
        status, text = self.house.ask("app")
        assert status == 200, text
        return text.strip()

    def ended(self, sha: str) -> Any:
        """The pipeline once it has ended: with success, or each job that failed has a reason."""
        done = self.house.pipeline(PROJECT, sha)
        failed = [job for job in done["jobs"].values() if job["status"] == "failed"]
        assert done["status"] == "success" or (done["status"] == "failed" and failed), done
        assert all(job["failure_reason"] and job["failure_message"] for job in failed), failed
        return done

    def succeeded(self, sha: str) -> Any:
        done = self.house.succeeds(PROJECT, sha)
        assert self.answers() == f"version {self.version}"
        return done

    def settle(self) -> None:
        """Nothing is left but what serves, and no request has failed so far."""
        eventually(self.house.ready, why=self.house.logs)
        eventually(lambda: not self.left(), within=30, why=lambda: "\n".join([*self.left(), self.house.logs()]))
        assert self.traffic.failures == []

    def left(self) -> list[str]:
        """What should not be there when nothing is going on."""
        house = self.house
        listed = house.docker("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}")
        lines = [line.split() for line in listed.splitlines()]
        live = [entry["number"] for entry in house.releases(PROJECT) if entry["state"] == "live"]
        serving = [identifier for identifier, name in lines if name in [f"riad-app-r{number}" for number in live]]
        networks = set(house.docker("network", "ls", "--format", "{{.Name}}").split())
        return [
            *(f"container {name}" for identifier, name in lines if identifier not in serving),
            *(f"network {name}" for name in networks - {"bridge", "host", "none", "riad-services"}),
            *(line for line in self.kernel_things() if not any(identifier in line for identifier in serving)),
            *(f"file {path}" for path in (house.run / "checkouts").iterdir()),
            *(f"file {path}" for path in (house.run / "sockets").iterdir() if path.name != "spool"),
        ]

    def kernel_things(self) -> list[str]:
        """What there is for containers, builds and pushes: mounts, monitors, runtimes, git."""
        return [
            *(f"mount {target}" for target in leftovers.mounts(self.house.folder)),
            *(
                f"process {pid}: {words}"
                for pid, words in leftovers.processes(self.house.folder).items()
                if any(words.partition(" ")[0].endswith(name) for name in ("conmon", "runc", "git"))
            ),
        ]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with open_house(tmp_path_factory.mktemp("killed")) as house:
        repository = house.new_project(tmp_path_factory.mktemp("work") / "app", PROJECT)
        house.succeeds(PROJECT, repository.push_text("version 1"))
        with Traffic(house.port, "app", 20) as traffic:
            yield Scene(house, repository, traffic)


def test_the_server_is_killed_while_git_hands_over_a_push(scene: Scene) -> None:
    blob = scene.repository.folder / "blob"
    blob.write_bytes(random_bytes(40_000_000))
    sha = scene.repository.commit("A large file")
    pushing = subprocess.Popen(
        ["git", "push", "origin", "main"],
        cwd=scene.repository.folder, env=scene.repository.environ, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually(lambda: any("receive-pack" in words for words in leftovers.processes(scene.house.folder).values()))
    scene.house.kill("server")
    _, said = pushing.communicate(timeout=60)
    if pushing.returncode != 0:  # not acknowledged: pushed again
        eventually(scene.house.ready)
        again = scene.repository.push(check=False)
        assert again.returncode == 0, said + again.stderr
    assert scene.house.of(PROJECT, "repository/branches/main")["commit"]["id"] == sha
    scene.house.succeeds(PROJECT, sha)
    blob.unlink()
    scene.settle()


@pytest.mark.parametrize("victims", [("server",), BOTH], ids="+".join)
def test_right_after_a_push_was_acknowledged(scene: Scene, victims: tuple[str, ...]) -> None:
    scene.version += 1
    sha = scene.repository.push_text(f"version {scene.version}")
    scene.house.kill(*victims)
    scene.succeeded(sha)
    scene.settle()


@EACH
def test_while_a_job_is_being_prepared(scene: Scene, victims: tuple[str, ...]) -> None:
    sha, pipeline = scene.push()
    eventually(lambda: scene.job(pipeline, "test")["status"] == "running")
    scene.house.kill(*victims)
    scene.succeeded(sha)
    scene.settle()


@EACH
def test_while_a_jobs_script_runs(scene: Scene, victims: tuple[str, ...]) -> None:
    slow = "python check.py && echo half-way && sleep 4 && echo the-end"
    sha, pipeline = scene.push(_gitlab_ci_yml=("python check.py", slow))
    number = scene.until(pipeline, "test", "half-way")
    scene.house.kill(*victims)
    done = scene.succeeded(sha)
    assert done["jobs"]["test"]["id"] == number  # the same container was followed again
    lines = scene.log(number).splitlines()
    assert lines.count("half-way") == 1
    assert lines.count("the-end") == 1
    scene.settle()


@EACH
def test_while_an_image_is_built(scene: Scene, victims: tuple[str, ...]) -> None:
    run = f"RUN echo building {scene.version} && sleep 3\nWORKDIR /app"
    sha, pipeline = scene.push(Dockerfile=("WORKDIR /app", run))
    scene.until(pipeline, "build", f"building {scene.version - 1}")
    scene.house.kill(*victims)
    scene.ended(sha)
    scene.settle()


@EACH
def test_while_an_image_is_pushed(scene: Scene, victims: tuple[str, ...]) -> None:
    large = f"RUN head -c 60000000 /dev/urandom >/blob-{scene.version}\nWORKDIR /app"
    sha, pipeline = scene.push(Dockerfile=("WORKDIR /app", large))
    scene.until(pipeline, "build", "The push refers to")
    scene.house.kill(*victims)
    scene.ended(sha)
    scene.settle()


@EACH
def test_while_a_release_is_waited_for(scene: Scene, victims: tuple[str, ...]) -> None:
    slow = ("Server((", "__import__('time').sleep(3); Server((")
    sha, pipeline = scene.push(app_py=slow)
    scene.until(pipeline, "deploy", "started container")
    scene.house.kill(*victims)
    scene.succeeded(sha)
    scene.settle()


@EACH
def test_right_after_the_switch(scene: Scene, victims: tuple[str, ...]) -> None:
    sha, _ = scene.push()
    eventually(lambda: scene.answers() == f"version {scene.version}", within=60, why=scene.house.logs)
    scene.house.kill(*victims)
    scene.succeeded(sha)
    scene.settle()


@EACH
def test_during_a_roll_back(scene: Scene, victims: tuple[str, ...]) -> None:
    before = scene.house.releases(PROJECT)
    command = [sys.executable, "-m", "riad.cli.main", "rollback", PROJECT]
    rolling = subprocess.Popen(command, env=scene.house.environ, stderr=subprocess.PIPE, text=True)
    eventually(lambda: len(scene.house.releases(PROJECT)) > len(before))
    scene.house.kill(*victims)
    rolling.communicate(timeout=60)  # it may have lost its connection; the roll-back goes on

    def newest() -> Any:
        eventually(scene.house.ready)
        return scene.house.releases(PROJECT)[0]

    done = eventually(lambda: (found := newest())["state"] in ("live", "failed") and found, within=60)
    assert (done["kind"], done["state"]) == ("rollback", "live"), done
    assert scene.answers() != f"version {scene.version}"
    scene.settle()
    scene.succeeded(scene.push()[0])


@EACH
def test_while_nothing_happens(scene: Scene, victims: tuple[str, ...]) -> None:
    before = scene.answers()
    scene.house.kill(*victims)
    scene.settle()
    assert scene.answers() == before


def test_the_service_has_answered_every_request(scene: Scene) -> None:
    assert scene.traffic.failures == []
    assert scene.traffic.answered > 1000


def random_bytes(number: int) -> bytes:
    with open("/dev/urandom", "rb") as file:
        return file.read(number)
