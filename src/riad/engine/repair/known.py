"""What the engine's database accounts for, read by statements of its own: whatever is broken, this must work."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

_ALIVE = ("starting", "running", "paused", "restarting")


@dataclass(frozen=True, slots=True)
class Known:
    containers: frozenset[str]
    alive: frozenset[str]
    """Those that run, or will be looked after when the engine starts next."""
    layers: frozenset[str]
    blobs: frozenset[str]
    volumes: frozenset[str]
    sandboxes: frozenset[str]
    endpoints: frozenset[int]
    links: frozenset[str]
    """Names of bridges and other links that networks have."""
    ports: frozenset[tuple[str, int]]
    """Protocol and port of the host."""


def read(sql: sqlite3.Connection) -> Known:
    def column(query: str) -> frozenset[str]:
        return frozenset(str(row[0]) for row in sql.execute(query))

    marks = ", ".join("?" * len(_ALIVE))
    alive = sql.execute(f"SELECT id FROM container WHERE phase IN ({marks})", _ALIVE)  # noqa: S608 -- question marks
    networks = sql.execute("SELECT bridge, document FROM network").fetchall()
    return Known(
        containers=column("SELECT id FROM container"),
        alive=frozenset(str(row[0]) for row in alive),
        layers=column("SELECT number FROM layer"),
        blobs=column("SELECT digest FROM layer_blob"),
        volumes=column("SELECT name FROM volume"),
        sandboxes=column("SELECT container_id FROM network_sandbox"),
        endpoints=frozenset(int(row[0]) for row in sql.execute("SELECT number FROM network_endpoint")),
        links=frozenset(name for bridge, document in networks for name in (bridge, *_texts(json.loads(document)))),
        ports=frozenset(
            (str(row[0]), int(row[1])) for row in sql.execute("SELECT proto, host_port FROM network_published")
        ),
    )


def _texts(document: object) -> list[str]:
    """Every text in a network's document: a parent link that the engine made is among them."""
    if isinstance(document, str):
        return [document]
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return [text for value in inner for text in _texts(value)]


@dataclass(frozen=True, slots=True)
class Places:
    """Where one engine's things are. `instance` marks them in the kernel."""

    data: Path
    run: Path
    instance: str

    @property
    def group(self) -> str:
        return f"/riad-{self.instance}"

    @property
    def table(self) -> str:
        return f"riad_{self.instance}"
