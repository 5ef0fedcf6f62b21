"""Many clients that create, start, kill, rename and remove containers while the daemon is killed again and again.

Every client lives with what a restarting engine does to it: a refused connection, a lost answer, a container that is or
is not there. What must never be: a 500 that names a defect, a container that cannot be removed, anything left over.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_fixture import BASE, RunningEngine, wait_until
from engine_state import settles, totals

_AWAY = (ConnectionError, http.client.HTTPException, TimeoutError, FileNotFoundError)


@dataclass(slots=True)
class Course:
    """What happened. `odd` are answers that should not have been."""

    requests: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    kills: int = 0
    slowest_start: float = 0.0
    """Seconds until a killed engine answered again."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Client:
    """One of many; `names` of containers are shared by all of them."""

    path: Path
    number: int
    names: int
    course: Course

    def run(self, until: float) -> None:
        chance = random.Random(self.number)
        while time.monotonic() < until:
            with contextlib.suppress(*_AWAY):
                self._once(chance)

    def _once(self, chance: random.Random) -> None:
        name = f"abused-{chance.randrange(self.names)}"
        match chance.randrange(10):
            case 0 | 1 | 2:
                self._create(name, chance)
            case 3 | 4:
                self._ask("POST", f"/containers/{name}/start")
            case 5:
                self._ask("POST", f"/containers/{name}/kill")
            case 6:
                self._ask("POST", f"/containers/{name}/rename?name=abused-{chance.randrange(self.names)}")
            case 7:
                self._ask(
                    "POST", f"/containers/{name}/{chance.choice(('pause', 'unpause', 'restart?t=0', 'stop?t=0'))}"
                )
            case 8:
                self._ask("DELETE", f"/containers/{name}?force=1&v=1")
            case _:
                self._ask("GET", "/containers/json?all=1")

    def _create(self, name: str, chance: random.Random) -> None:
        body: dict[str, Any] = {
            "Image": BASE,
            "Cmd": chance.choice((["sleep", "1000"], ["true"], ["sh", "-c", "sleep 0.5; exit 3"])),
            "Volumes": {"/loose": {}} if chance.random() < 0.3 else {},
            "HostConfig": {
                "NetworkMode": chance.choice(("bridge", "none", "abuse")),
                "PublishAllPorts": chance.random() < 0.5,
                "AutoRemove": chance.random() < 0.2,
            },
            "ExposedPorts": {"80/tcp": {}},
        }
        if not body["HostConfig"]["AutoRemove"] and chance.random() < 0.2:
            body["HostConfig"]["RestartPolicy"] = {"Name": "on-failure", "MaximumRetryCount": 2}
        self._ask("POST", f"/containers/create?name={name}", body)
        self._ask("POST", f"/containers/{name}/start")

    def _ask(self, method: str, path: str, body: object = None) -> None:
        connection = _Connection(self.path)
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        verb = f"{method} {path.partition('?')[0].rpartition('/')[2] if method != 'DELETE' else 'remove'}"
        self.course.requests[verb] += 1
        if answer.status >= 500:
            self.course.odd.append(f"{verb}: {answer.status} {said[:300]!r}")


@contextlib.contextmanager
def clients(engine: RunningEngine, *, number: int, names: int, seconds: float) -> Iterator[Course]:
    """All of them at work until the time is over."""
    course = Course()
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=Client(engine.daemons_socket, each, names, course).run, args=(until,))
        for each in range(number)
    ]
    for thread in threads:
        thread.start()
    try:
        yield course
    finally:
        for thread in threads:
            thread.join()


def abuse(engine: RunningEngine, *, number: int, names: int, seconds: float, kills: int) -> Course:
    """Raises AssertionError for anything that is left over or stuck; the engine is as it was before."""
    engine.docker("network", "create", "abuse")
    settles(engine)
    before = totals(engine)
    with clients(engine, number=number, names=names, seconds=seconds) as course:
        for _ in range(kills):
            time.sleep(seconds / (kills + 1))
            began = time.monotonic()
            engine.kill()
            engine.start()
            course.kills += 1
            course.slowest_start = max(course.slowest_start, time.monotonic() - began)
    wait_until(lambda: _removed(engine), what=lambda: f"not removed: {engine.out('ps', '-a')}", deadline=120)
    settles(engine)
    after = totals(engine)
    assert after == before, f"before {before}, after {after}"
    engine.docker("network", "rm", "abuse")
    return course


def _removed(engine: RunningEngine) -> bool:
    if found := engine.out("ps", "-aq").split():
        engine.docker("rm", "-f", "-v", *found, check=False)
    engine.docker("volume", "prune", "-af", check=False)
    return not engine.out("ps", "-aq").split()
