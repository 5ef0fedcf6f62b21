"""Experiments: Riad against the stock `mlflow` server on this machine, with the same requests, one after the other.

The peer runs in its better configuration: one worker, no job runner. `--mlflow PROGRAM` names its command; without it,
it is installed into .cache/mlflow. `--runs N` sets how many runs are created and searched (10,000 in the issue's
bars); every row is a median or a rate over `--seconds`. Ratios are Riad's figure against the peer's.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from riad.cli.memory import proportional_set_size, with_descendants

TOKEN = "a-token-of-this-measurement"
CLIENTS = 8
CACHE = Path(__file__).parents[1] / ".cache" / "mlflow"


@dataclass(frozen=True)
class Row:
    """`more` is better, or less; `bar` is how many times better Riad should be."""

    name: str
    unit: str
    bar: float
    more: bool = False


ROWS = (
    Row("ready after start", "s", 1),
    Row("log-metric, 8 clients", "/s", 8, more=True),
    Row("log-batch of 1,000 metrics, 10 keys, 8 clients", "/s", 20, more=True),
    Row("log-batch of 1,000 metrics, 1,000 keys, 8 clients", "/s", 20, more=True),
    Row("creating runs with 5 params and 5 metrics", "s", 8),
    Row("search, first 100", "ms", 3),
    Row("search ordered by a metric", "ms", 50),
    Row("search, all in pages of 1,000", "ms", 10),
    Row("history of 100,000 points", "ms", 15),
    Row("interval of 320 points of them", "ms", 10),
    Row("memory after it (PSS)", "MB", 1),
)


@dataclass
class Client:
    port: int
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)

    def raw(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        try:
            self.connection.request(method, path, body, headers)
        except (BrokenPipeError, ConnectionResetError):  # a server may close a connection after some requests
            self.connection.close()
            self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        method = "GET" if body is None else "POST"
        return json.loads(self.raw(method, f"/api/2.0/mlflow/{path}", json.dumps(body).encode() if body else None))

    def run(self, experiment: str) -> str:
        asked = {"experiment_id": experiment, "start_time": int(time.time() * 1000)}
        return str(self.ask("runs/create", asked)["run"]["info"]["run_id"])


def together(port: int, seconds: float, work: Callable[[Client, int, int], None]) -> float:
    """How often CLIENTS at once get `work(client, its number, count)` done in a second."""
    counts, stop = [0] * CLIENTS, time.monotonic() + seconds

    def repeat(number: int) -> None:
        client = Client(port)
        while time.monotonic() < stop:
            work(client, number, counts[number])
            counts[number] += 1

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(CLIENTS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def median_ms(work: Callable[[], object], repeat: int = 5) -> float:
    took = []
    for _ in range(repeat):
        began = time.monotonic()
        work()
        took.append((time.monotonic() - began) * 1000)
    return statistics.median(took)


def measure(port: int, *, runs: int, seconds: float) -> Iterator[tuple[str, float]]:
    client = Client(port)
    experiment = client.ask("experiments/create", {"name": f"bench-{time.time()}"})["experiment_id"]
    mine = [client.run(experiment) for _ in range(CLIENTS)]

    def one(each: Client, number: int, count: int) -> None:
        metric = {"run_id": mine[number], "key": "loss", "value": 0.5, "timestamp": 1, "step": count}
        each.ask("runs/log-metric", metric)

    yield "log-metric, 8 clients", together(port, seconds, one)
    for keys in (10, 1000):
        points = [
            {"key": f"m{n % keys}", "value": n / 7, "timestamp": 1_700_000_000_000, "step": n} for n in range(1000)
        ]
        bodies = [json.dumps({"run_id": run, "metrics": points}).encode() for run in mine]

        def batch(each: Client, number: int, _: int, bodies: list[bytes] = bodies) -> None:
            each.raw("POST", "/api/2.0/mlflow/runs/log-batch", bodies[number])

        rate = together(port, seconds, batch) * 1000
        yield f"log-batch of 1,000 metrics, {keys:,} keys, 8 clients", rate
    began = time.monotonic()
    for number in range(runs):
        create(client, experiment, number)
    yield "creating runs with 5 params and 5 metrics", time.monotonic() - began
    first = {"experiment_ids": [experiment], "max_results": 100}
    yield "search, first 100", median_ms(lambda: client.ask("runs/search", first))
    ordered = {**first, "order_by": ["metrics.m1 DESC"]}
    yield "search ordered by a metric", median_ms(lambda: client.ask("runs/search", ordered), 3)
    yield "search, all in pages of 1,000", median_ms(lambda: every_page(client, experiment), 3)
    yield from histories(client, client.run(experiment))


def create(client: Client, experiment: str, number: int) -> None:
    run = client.run(experiment)
    batch = {
        "run_id": run,
        "params": [{"key": f"p{n}", "value": str(number % (n + 3))} for n in range(5)],
        "metrics": [
            {"key": f"m{n}", "value": (number * 7919 % 1000) / 1000 + n, "timestamp": 1, "step": 0} for n in range(5)
        ],
    }
    client.ask("runs/log-batch", batch)
    client.ask("runs/update", {"run_id": run, "status": "FINISHED", "end_time": 2})


def every_page(client: Client, experiment: str) -> None:
    token = ""
    while True:
        asked = {"experiment_ids": [experiment], "max_results": 1000, **({"page_token": token} if token else {})}
        token = client.ask("runs/search", asked).get("next_page_token", "")
        if not token:
            return


def histories(client: Client, run: str) -> Iterator[tuple[str, float]]:
    for start in range(0, 100_000, 1000):
        points = [
            {"key": "long", "value": step / 3, "timestamp": 1_700_000_000_000 + step, "step": step}
            for step in range(start, start + 1000)
        ]
        client.ask("runs/log-batch", {"run_id": run, "metrics": points})
    whole = f"metrics/get-history?run_id={run}&metric_key=long"
    yield "history of 100,000 points", median_ms(lambda: client.ask(whole), 3)
    thin = f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run}&metric_key=long&max_results=320"
    yield "interval of 320 points of them", median_ms(lambda: client.raw("GET", thin))


@contextmanager
def started(command: list[str], port: int, environ: dict[str, str]) -> Iterator[tuple[int, float]]:
    """(process, seconds until it answered)"""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while True:
            try:
                Client(port).raw("GET", "/health")
                break
            except (OSError, http.client.HTTPException, RuntimeError):
                if process.poll() is not None or time.monotonic() - began > 120:
                    raise SystemExit(f"{command[0]} did not start") from None
                time.sleep(0.02)
        yield process.pid, time.monotonic() - began
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def mlflow_program(given: str | None) -> str:
    if given:
        return given
    if not (CACHE / "bin" / "mlflow").exists():
        subprocess.run([sys.executable, "-m", "venv", str(CACHE)], check=True)
        subprocess.run([str(CACHE / "bin" / "pip"), "install", "-q", "mlflow"], check=True)
    return str(CACHE / "bin" / "mlflow")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mlflow", help="the peer's command")
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--only", choices=["riad", "mlflow"])
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="riad-tracking-"))
    riad = [sys.executable, "-m", "riad.cli.main", "server", "--data-dir", str(folder / "riad")]
    peers: dict[str, tuple[list[str], dict[str, str]]] = {
        "riad": ([*riad, "--listen", "127.0.0.1:18201"], {"RIAD_ROOT_TOKEN": TOKEN, "RIAD_ROOT_PASSWORD": TOKEN})
    }
    if given.only != "riad":
        peer = [mlflow_program(given.mlflow), "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        peer += ["--artifacts-destination", str(folder / "files"), "--workers", "1", "--port", "18202"]
        peers["mlflow"] = (peer, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    found: dict[str, dict[str, float]] = {}
    try:
        for name, (command, environ) in peers.items():
            if given.only in (None, name):
                found[name] = figures(command, 18201 if name == "riad" else 18202, environ, given)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(found)


def figures(command: list[str], port: int, environ: dict[str, str], given: argparse.Namespace) -> dict[str, float]:
    with started(command, port, environ) as (leader, ready):
        values = {"ready after start": ready}
        for name, value in measure(port, runs=given.runs, seconds=given.seconds):
            values[name] = value
            print(f"  {command[0].rpartition('/')[2]:8} {name}: {value:,.1f}", file=sys.stderr)
        values["memory after it (PSS)"] = sum(map(proportional_set_size, with_descendants(leader))) / 1e6
    return values


def show(found: dict[str, dict[str, float]]) -> None:
    mine, theirs = found.get("riad", {}), found.get("mlflow", {})
    print(f"{'':52}{'Riad':>12}{'mlflow':>12}{'better':>9}{'bar':>6}")
    for row in ROWS:
        one, other = mine.get(row.name), theirs.get(row.name)
        better = "" if not one or not other else f"{(one / other if row.more else other / one):.1f} ×"
        shown = [f"{value:,.1f} {row.unit}" if value is not None else "" for value in (one, other)]
        print(f"{row.name:52}{shown[0]:>12}{shown[1]:>12}{better:>9}{row.bar:>5g} ×")


if __name__ == "__main__":
    main()
