"""The processes that make up a running Riad: the engine, the server and the edge."""

from __future__ import annotations

import sys
from functools import partial

from riad.cli import containers
from riad.cli.home import Home
from riad.cli.supervisor import Part

# Threads that unpack layers or hash passwords would otherwise each keep a heap of their own for ever (mallopt(3)).
THRIFTY = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"}


def parts_of(home: Home) -> list[Part]:
    """In start order. Settings of the server that are not about the home come from the environment (RIAD_…)."""
    python = (sys.executable, "-m", "riad.cli.main")
    engine = Part(
        name="engine",
        command=(
            *python,
            "engine",
            f"--data-root={home.engine_root}",
            f"--exec-root={home.engine_run}",
            f"--host=unix://{home.engine_socket}",
        ),
        log=home.logs / "engine.log",
        before_stop=partial(containers.stop_all, home.engine_socket),
        environ=THRIFTY,
    )
    server = Part(
        name="server",
        command=(
            *python,
            "server",
            f"--data-dir={home.server_data}",
            f"--run-dir={home.run}",
            f"--listen=unix:{home.server_socket}",
            f"--external-url={home.external_url}",
            f"--docker-host=unix://{home.engine_socket}",
            f"--edge-socket={home.edge_socket}",
        ),
        log=home.logs / "server.log",
        environ=THRIFTY,
    )
    edge = Part(
        name="edge",
        command=("haproxy", "-db", "-q", "-f", str(home.server_data / "edge" / "haproxy.cfg")),
        log=home.logs / "edge.log",
        waits_for=home.server_data / "edge" / "haproxy.cfg",
    )
    return [engine, server, edge]
