"""What `bench/engine.py` measures: one row for each bar of the engine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import docker

from peers import Peer

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
import engine_rootfs

IMAGE = "bench:1"
MANY = 50
_RUNNING = 20
"""Containers that run while the memory of one is measured."""
_REQUESTS = 200
_FIRST_PORT = 20000
_PROBES = Path(__file__).with_name("probes.py")


class RefusedError(Exception):
    """An engine did not do what the row needs; says what it said."""


@dataclass(slots=True)
class Engine:
    """One peer, driven by the docker CLI."""

    peer: Peer
    containers: int
    size: int
    """MiB that go through logs, attach and the network."""

    @property
    def name(self) -> str:
        return self.peer.name

    def docker(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["docker", *arguments], env=self.peer.environ, input=stdin, capture_output=True, check=False, timeout=900
        )
        if done.returncode != 0:
            raise RefusedError(f"docker {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()[-300:]}")
        return done.stdout.decode().strip()

    def timed(self, *arguments: str) -> float:
        """Milliseconds; what it prints goes nowhere."""
        begin = time.perf_counter()
        done = subprocess.run(
            ["docker", *arguments],
            env=self.peer.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            timeout=900,
        )
        took = (time.perf_counter() - begin) * 1000
        if done.returncode != 0:
            raise RefusedError(f"docker {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()[-300:]}")
        return took

    def api(self, **settings: int) -> docker.APIClient:
        return docker.APIClient(base_url=self.peer.host, version="1.41", timeout=900, **settings)

    def load_image(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            rootfs = engine_rootfs.make_tar(Path(folder))
            self.docker("import", "--change", "CMD true", "-", IMAGE, stdin=rootfs)

    def clear(self) -> None:
        client = self.api()
        ids = [found["Id"] for found in client.containers(all=True)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one: client.remove_container(one, force=True, v=True), ids))
        client.close()
        for pid in self.peer.processes():
            if str(_PROBES) in _command(pid):
                os.kill(pid, signal.SIGKILL)

    def probe(self, *arguments: str, inside: str = "") -> float:
        """What `probes.py` measured on the engine's host, or in the network of the container `inside`."""
        enter = ["nsenter", f"--target={self.peer.init}", "--net", "--mount", "--pid"]
        if inside:
            enter += ["nsenter", "--net=/proc/" + self.docker("inspect", "-f", "{{.State.Pid}}", inside) + "/ns/net"]
        done = subprocess.run(
            [*enter, "/usr/bin/python3", str(_PROBES), *arguments], capture_output=True, check=False, timeout=900
        )
        if done.returncode != 0:
            raise RefusedError(f"probe {arguments}: {done.stderr.decode()[-300:]}")
        return float(done.stdout)

    def address(self, container: str) -> str:
        return self.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)

    def memory(self) -> float:
        """MiB, proportional set size of the engine and all its helpers, without what runs in containers."""
        return sum(map(_pss, self.peer.daemons())) / 1024


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _pss(pid: int) -> int:
    """KiB; 0 for what has ended meanwhile."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


def _nothing(_: Engine) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    title: str
    unit: str
    bar: float
    """Riad's median divided by dockerd's must not be more (less, where more is better)."""
    once: Callable[[Engine], float]
    repeat: int = 15
    before: Callable[[Engine], None] = _nothing
    warm: int = 1
    more_is_better: bool = False


def _run_and_remove(engine: Engine) -> float:
    return engine.timed("run", "-d", "--name", "box", IMAGE, "sleep", "600") + engine.timed("rm", "-f", "box")


def _at_once(engine: Engine) -> float:
    """Create and start MANY containers from as many threads, until each has exited."""
    client = engine.api(num_pools=2, max_pool_size=MANY)

    def one(_: int) -> str:
        made: str = client.create_container(IMAGE, ["true"])["Id"]
        client.start(made)
        client.wait(made)
        return made

    begin = time.perf_counter()
    with ThreadPoolExecutor(MANY) as pool:
        ids = list(pool.map(one, range(MANY)))
    took = (time.perf_counter() - begin) * 1000
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client.remove_container, ids))
    client.close()
    return took


def _sleeper(engine: Engine) -> None:
    engine.docker("run", "-d", "--name", "box", IMAGE, "sleep", "6000")


def _many_known(engine: Engine) -> None:
    client = engine.api(num_pools=2, max_pool_size=4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: client.create_container(IMAGE, ["true"], name=f"c{n}"), range(engine.containers)))
    client.close()


def _many_ports(engine: Engine) -> None:
    """All but one of the ports, published by one container."""
    last = _FIRST_PORT + engine.containers - 2
    engine.docker(
        "run", "-d", "--name", "ports", "-p", f"{_FIRST_PORT}-{last}:{_FIRST_PORT}-{last}", IMAGE, "sleep", "6000"
    )


def _with_one_more_port(engine: Engine) -> float:
    """Starting a container that is there already: what the docker CLI needs for itself is no part of it."""
    engine.docker("create", "--name", "one", "-p", f"{_FIRST_PORT + 9000}:80", IMAGE, "sleep", "600")
    client = engine.api()
    begin = time.perf_counter()
    client.start("one")
    took = (time.perf_counter() - begin) * 1000
    client.close()
    engine.docker("rm", "-f", "one")
    return took


def _served_port(engine: Engine) -> None:
    _many_ports(engine)
    engine.docker("run", "-d", "--name", "web", "-p", f"{_FIRST_PORT + 9000}:80", IMAGE, "sleep", "6000")
    engine.probe("serve", "80", inside="web")


def _request(engine: Engine) -> float:
    return engine.probe("ask", "127.0.0.1", str(_FIRST_PORT + 9000), str(_REQUESTS))


def _per_container(engine: Engine) -> float:
    before = engine.memory()
    for _ in range(_RUNNING):
        engine.docker("run", "-d", IMAGE, "sleep", "6000")
    time.sleep(1)
    return (engine.memory() - before) / _RUNNING


_LINE = "x" * 99


def _writer(engine: Engine) -> tuple[str, ...]:
    return IMAGE, "sh", "-c", f"yes {_LINE} | head -c {engine.size << 20}"


def _written(engine: Engine) -> None:
    engine.docker("run", "-d", "--name", "log", "--log-opt", "max-size=4g", *_writer(engine))
    engine.docker("wait", "log")


def _logs(engine: Engine) -> float:
    return engine.size / (engine.timed("logs", "log") / 1000)


def _attach(engine: Engine) -> float:
    return engine.size / (engine.timed("run", "--rm", "--log-opt", "max-size=4g", *_writer(engine)) / 1000)


def _two(engine: Engine) -> None:
    for name in ("from", "into"):
        engine.docker("run", "-d", "--name", name, IMAGE, "sleep", "6000")
    engine.probe("swallow", "5000")
    engine.probe("swallow", "5000", inside="into")


def _to_host(engine: Engine) -> float:
    gateway = engine.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", "from")
    return engine.probe("send", gateway, "5000", str(engine.size), inside="from")


def _between(engine: Engine) -> float:
    return engine.probe("send", engine.address("into"), "5000", str(engine.size), inside="from")


ROWS = (
    Row("run", "run --rm IMAGE true", "ms", 0.40, lambda e: e.timed("run", "--rm", IMAGE, "true")),
    Row("none", "the same, --network none", "ms", 0.45,
        lambda e: e.timed("run", "--rm", "--network", "none", IMAGE, "true")),
    Row("detached", "run -d, then rm -f", "ms", 0.40, _run_and_remove),
    Row("many", f"{MANY} at once, until all have exited", "ms", 0.50, _at_once, repeat=5),
    Row("exec", "exec of true", "ms", 0.75, lambda e: e.timed("exec", "box", "true"), before=_sleeper),
    Row("ps", "ps -a, 500 containers known", "ms", 1.0, lambda e: e.timed("ps", "-a"), before=_many_known),
    Row("inspect", "inspect, 500 containers known", "ms", 1.0, lambda e: e.timed("inspect", f"c{e.containers // 2}"),
        before=_many_known),
    Row("publish", "start with port 500 of 500", "ms", 0.3, _with_one_more_port, repeat=9, before=_many_ports),
    Row("request", "a request through port 500 of 500", "ms", 1.0, _request, repeat=9, before=_served_port),
    Row("memory", "memory of the engine at rest (PSS)", "MiB", 0.5, lambda e: e.memory(), repeat=3, warm=0),
    Row("container", "memory per running container (PSS)", "MiB", 0.25, _per_container, repeat=1, warm=0),
    Row("logs", "logs of one container", "MiB/s", 1.0, _logs, repeat=3, before=_written, more_is_better=True),
    Row("attach", "run --rm, output attached", "MiB/s", 1.0, _attach, repeat=3, warm=0, more_is_better=True),
    Row("tohost", "network, container → host", "MiB/s", 1.0, _to_host, repeat=7, before=_two, more_is_better=True),
    Row("between", "network, container ↔ container", "MiB/s", 1.0, _between, repeat=7, before=_two,
        more_is_better=True),
)  # fmt: skip
