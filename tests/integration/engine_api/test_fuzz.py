"""Whatever is asked, the engine answers it as Docker would: no defect, no hang, always a message.

RIAD_LONG=1 asks for many more examples, and for others in every run.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_fixture import BASE, RunningEngine, running_engine
from hostile import Asked, ask, requests
from riad.engine.daemon import EngineConfig, assemble

pytestmark = [pytest.mark.root, pytest.mark.slow]

LONG = bool(os.environ.get("RIAD_LONG"))
NAMES = ("fuzzed", "resting", "fuzz", "fuzznet", BASE, "bridge", "none", "host")
_NOT_OURS = re.compile(r"127\.0\.0\.1:1|registry|driver failed programming|failed to set up container networking")
"""500 is Docker's own answer where a registry or a port is out of reach."""


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_engine() as running:
        yield running


def registered(root: Path) -> list[tuple[str, str]]:
    """Every route of the engine, as it is registered without version."""

    async def found() -> list[tuple[str, str]]:
        daemon = assemble(EngineConfig(data_root=root / "data", exec_root=root / "run"))
        try:
            return [
                (route.method, route.resource.canonical)
                for route in daemon.app.router.routes()
                if route.resource is not None and not route.resource.canonical.startswith("/v{version}")
            ]
        finally:
            daemon.state.close()

    (root / "run").mkdir()
    return [(method if method != "*" else "POST", path) for method, path in asyncio.run(found())]


def furnish(engine: RunningEngine) -> None:
    """The things that requests find are there again, whatever became of them."""
    present = set(engine.out("ps", "-a", "--format", "{{.Names}}").split())
    if "fuzzed" not in present:
        engine.docker("run", "-d", "--name", "fuzzed", BASE, "sleep", "1000", check=False)
    if "resting" not in present:
        engine.docker("create", "--name", "resting", BASE, "true", check=False)
    engine.docker("volume", "create", "fuzz", check=False)
    if "fuzznet" not in engine.out("network", "ls", "--format", "{{.Name}}").split():
        engine.docker("network", "create", "fuzznet", check=False)


def test_no_request_finds_a_defect(engine: RunningEngine, tmp_path: Path) -> None:
    routes = registered(tmp_path)
    assert len(routes) > 60
    archive = (engine.root / "base.tar").read_bytes()
    asked_so_far = 0

    @settings(
        max_examples=10_000 if LONG else 600,
        derandomize=not LONG,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        nonlocal asked_so_far
        if asked_so_far % 100 == 0:
            if BASE not in engine.out("images", "--format", "{{.Repository}}:{{.Tag}}").split():
                (engine.root / "base.tar").write_bytes(archive)
                engine.docker("import", engine.root / "base.tar", BASE)
            furnish(engine)
        asked_so_far += 1
        check(engine, data.draw(requests(routes, NAMES)))

    fuzz()
    assert engine.process is not None and engine.process.poll() is None
    assert "request failed" not in engine.log()


def check(engine: RunningEngine, asked: Asked) -> None:
    told = f"{asked.method} {asked.target[:500]!r} {asked.body[:2000]!r}"
    answer = ask(engine.daemons_socket, asked)
    assert answer.status != 500 or _NOT_OURS.search(answer.start.decode(errors="replace")), (told, answer)
    if answer.status >= 400 and asked.method != "HEAD":
        assert json.loads(answer.start)["message"], (told, answer)


def test_requests_that_are_no_http_end_and_others_go_on(engine: RunningEngine) -> None:
    """Each gets an answer or the end of its connection, none takes the engine down."""
    import socket

    odd = (
        b"\r\n\r\n",
        b"\0" * 100_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /containers/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
        b"GET http://elsewhere/_ping HTTP/1.1\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    )

    def send(data: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(engine.daemons_socket))
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass

    threads = [threading.Thread(target=send, args=(data,)) for data in odd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert engine.docker("ps").code == 0
