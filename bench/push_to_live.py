"""From push to live, and back: how long, how much of it is Riad's own, and is any request lost on the way.

Starts a Riad of its own (temporary home, free port), pushes examples/flask-hello, warms the caches, then measures
five one-line changes and five roll-backs. A client sends 50 requests a second through all of it. Prints a table.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from riad.cli import api as apis
from riad.cli import demo
from riad.cli import home as homes
from riad.cli.api import project_path
from riad.cli.pipeline import jobs_of
from riad.cli.watch import follow

RATE = 50
RUNS = 5


@dataclass
class Load:
    """RATE requests a second to the service, each on a connection of its own thread, until stopped."""

    host: str
    port: int
    answers: Counter[str] = field(default_factory=Counter)
    first_seen: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, workers: int = 5) -> None:
        for number in range(workers):
            self._threads.append(threading.Thread(target=self._send, args=(workers, number)))
            self._threads[-1].start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, workers: int, number: int) -> None:
        pause = workers / RATE
        due = time.monotonic() + number / RATE
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self._stop.is_set():
            self._stop.wait(max(0.0, due - time.monotonic()))
            due += pause
            try:
                connection.request("GET", "/", headers={"Host": self.host})
                answer = connection.getresponse()
                text = answer.read().decode()
                self._note(answer.status, text)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()

    def _note(self, status: int, text: str) -> None:
        if status != 200:
            self.failures.append(f"{status}: {text[:80]}")
        self.answers[text] += 1
        self.first_seen.setdefault(text, time.monotonic())

    def wait_for(self, text: str, timeout: float = 60) -> float:
        """When `text` was first answered, as time.monotonic()."""
        deadline = time.monotonic() + timeout
        while text not in self.first_seen:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{text!r} was never answered; failures: {self.failures[-3:]}")
            time.sleep(0.005)
        return self.first_seen[text]


STAMPED_JOBS = ("test", "build")
"""Whose scripts count as the jobs' own. What `riad deploy` does is Riad's."""


def stamp_scripts(work: Path) -> None:
    """Has each of these jobs write the time at its script's start and end: section marks are in whole seconds."""
    file = work / ".gitlab-ci.yml"
    config = yaml.safe_load(file.read_text())
    for name in STAMPED_JOBS:
        script = config[name]["script"]
        config[name]["script"] = ["date +bench-start=%s.%N", *script, "date +bench-end=%s.%N"]
    file.write_text(yaml.safe_dump(config, sort_keys=False))


def script_seconds(api: apis.Api, jobs: list[Any]) -> float:
    total = 0.0
    for job in jobs:
        if job["name"] in STAMPED_JOBS:
            trace = api.text(f"{project_path(demo.PROJECT)}/jobs/{job['id']}/trace").decode(errors="replace")
            stamps = dict(re.findall(r"bench-(start|end)=([0-9.]+)", trace))
            total += float(stamps["end"]) - float(stamps["start"])
    return total


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="riad-bench-"))
    os.environ.update(RIAD_HOME=str(folder), RIAD_PORT=str(demo._free_port()))
    try:
        measure(homes.of(), folder / "work" / demo.SERVICE)
    finally:
        demo._riad("down")
        shutil.rmtree(folder, ignore_errors=True)


def measure(home: homes.Home, work: Path) -> None:
    demo._riad("up")
    demo._riad("base", "build", demo.python_image(), demo.TOOLS)
    api = apis.connect()
    demo._ensure_project(api)
    demo._expect(follow(api, demo.PROJECT, sha=demo._push(work, home, api), timeout=600), "success")
    stamp_scripts(work)
    demo._expect(follow(api, demo.PROJECT, sha=demo._push(work, home, api), timeout=600), "success")
    load = Load(host=f"{demo.SERVICE}.{home.domain}:{home.port}", port=home.port)
    load.start()
    try:
        pushes = [one_push(api, work, load, number) for number in range(RUNS)]
        backs = roll_backs(load)
    finally:
        load.stop()
    report(home, pushes, backs, load)


def one_push(api: apis.Api, work: Path, load: Load, number: int) -> dict[str, float]:
    app = work / "app.py"
    lines = app.read_text().splitlines()
    greeting = f"Hello, number {number}!"
    changed = [f'    return "{greeting}"' if line.startswith('    return "Hello') else line for line in lines]
    app.write_text("\n".join(changed) + "\n")
    demo._git(work, "commit", "--quiet", "--all", "--message", f"Greet number {number}")
    began = time.monotonic()
    demo._git(work, "push", "--quiet")
    pushed = time.monotonic()
    sha = demo._git(work, "rev-parse", "HEAD").strip()
    live = load.wait_for(greeting)
    demo._expect(follow(api, demo.PROJECT, sha=sha, timeout=300), "success")
    pipeline = api.get(f"{project_path(demo.PROJECT)}/pipelines", sha=sha, per_page=1)[0]
    scripts = script_seconds(api, jobs_of(api, demo.PROJECT, pipeline["id"]))
    return {"total": live - began, "push": pushed - began, "scripts": scripts, "own": live - began - scripts}


def roll_backs(load: Load) -> list[float]:
    """Back from the newest to the one before, and so on down: each answer was seen before, so it is forgotten first."""
    return [one_roll_back(load, f"Hello, number {number}!") for number in range(RUNS - 2, -1, -1)]


def one_roll_back(load: Load, wanted: str) -> float:
    load.first_seen.pop(wanted, None)
    release = next(
        entry["number"]
        for entry in json.loads(riad_output("releases", demo.PROJECT, "--json"))
        if entry["kind"] == "deploy" and greeting_of(entry) == wanted
    )
    load.first_seen.pop(wanted, None)
    began = time.monotonic()
    demo._riad("rollback", demo.PROJECT, str(release))
    return load.wait_for(wanted) - began


def greeting_of(release: dict[str, Any]) -> str:
    """The greeting of a release's commit, by its message `Greet number N`."""
    commit = apis.connect().get(f"{project_path(demo.PROJECT)}/repository/commits/{release['sha']}")
    return f"Hello, number {commit['title'].removeprefix('Greet number ')}!"


def riad_output(*arguments: str) -> str:
    command = [sys.executable, "-m", "riad.cli.main", *arguments]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def report(home: homes.Home, pushes: list[dict[str, float]], backs: list[float], load: Load) -> None:
    status = json.loads(riad_output("status", "--json"))
    requests = sum(load.answers.values())
    rows = [
        ("push → new version answers", statistics.median(push["total"] for push in pushes), "s", 12.0),
        ("  of it git push", statistics.median(push["push"] for push in pushes), "s", None),
        ("  of it the jobs' own scripts", statistics.median(push["scripts"] for push in pushes), "s", None),
        ("  of it Riad's own", statistics.median(push["own"] for push in pushes), "s", 3.0),
        ("roll-back → old version answers", statistics.median(backs), "s", 3.0),
        ("memory of all parts (PSS)", status["memory_bytes"] / 1e6, "MB", 250.0),
        (f"failed of {requests} requests", float(len(load.failures)), "", 0.0),
    ]
    for name, value, unit, bar in rows:
        print(f"{name:36} {value:9.2f} {unit:3}" + (f"  bar {bar:g}" if bar is not None else ""))
    for failure, count in Counter(load.failures).most_common(5):
        print(f"  {count} × {failure}")


if __name__ == "__main__":
    main()
