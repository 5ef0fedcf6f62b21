"""What earlier builds made, by key: durable, bounded, and holding the layers it promises.

A record of a step names its layer (None where the step changed no files) and when it was made. The layer is held in the
layer store under the record's name, so neither the removal of an image nor a restart takes it away; `prune` and the
size limit do. Only the event loop's thread calls in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from riad.engine.images.model import Layer
from riad.engine.state import State
from riad.kernel.clock import Clock
from riad.oci.digest import Digest

STEPS = (
    """
    CREATE TABLE build_step (
        key TEXT PRIMARY KEY, layer TEXT, size INTEGER NOT NULL, description TEXT NOT NULL,
        created TEXT NOT NULL, used_at TEXT NOT NULL, uses INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX build_step_used_at ON build_step (used_at)
    """,
)
DEFAULT_LIMIT = 20 * 2**30
_OWNER = "build:"


@dataclass(frozen=True, slots=True)
class Record:
    """`created` is the RFC 3339 text that the image's history got."""

    layer: Layer | None
    created: str


@dataclass(frozen=True, slots=True)
class Made:
    """One record as it travels: by its key, with the layer's digest, None where the step changed no files."""

    key: str
    diff_id: Digest | None
    created: str
    description: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One record for listings; sizes in bytes."""

    key: str
    description: str
    size: int
    created: datetime
    used_at: datetime
    uses: int
    layer: str


class LayerHolds(Protocol):
    def find(self, diff_id: str) -> Layer | None: ...
    def hold(self, owner: str, diff_ids: Iterable[str]) -> None: ...
    def release(self, owner: str) -> None: ...
    async def collect(self) -> int: ...


class Cache:
    def __init__(self, state: State, layers: LayerHolds, *, clock: Clock, limit: int = DEFAULT_LIMIT) -> None:
        self._state = state
        self._layers = layers
        self._clock = clock
        self._limit = limit
        state.migrate("build", STEPS)

    def find(self, key: str) -> Record | None:
        """A record whose layer is gone counts as none."""
        row = self._state.connection.execute("SELECT layer, created FROM build_step WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        layer = self._layers.find(row["layer"]) if row["layer"] else None
        if row["layer"] and layer is None:
            return None
        with self._state.transaction() as sql:
            sql.execute("UPDATE build_step SET used_at = ?, uses = uses + 1 WHERE key = ?", (self._now(), key))
        return Record(layer, row["created"])

    def keep(self, key: str, layer: Layer | None, *, created: str, description: str, alias: bool = False) -> None:
        """Writes or replaces a record. An `alias` is a further name of one result: it counts no bytes."""
        size = layer.size if layer is not None and not alias else 0
        with self._state.transaction() as sql:
            self._layers.release(_OWNER + key)
            if layer is not None:
                self._layers.hold(_OWNER + key, [layer.diff_id])
            sql.execute(
                "INSERT OR REPLACE INTO build_step VALUES (?, ?, ?, ?, ?, ?, 0)",
                (key, layer and str(layer.diff_id), size, description, created, self._now()),
            )

    def entries(self) -> list[Entry]:
        """The records that hold layers, the least recently used first."""
        rows = self._state.connection.execute("SELECT * FROM build_step WHERE layer IS NOT NULL ORDER BY used_at")
        return [
            Entry(
                row["key"],
                row["description"],
                row["size"],
                datetime.fromisoformat(row["created"]),
                datetime.fromisoformat(row["used_at"]),
                row["uses"],
                row["layer"],
            )
            for row in rows
        ]

    async def prune(self, *, unused_since: datetime | None = None) -> tuple[list[str], int]:
        """Forgets all records, or those not used since then; returns their keys and the bytes freed."""
        doomed = [entry.key for entry in self.entries() if unused_since is None or entry.used_at < unused_since]
        self._forget(doomed)
        with self._state.transaction() as sql:
            before = self._now() if unused_since is None else unused_since.isoformat()
            sql.execute("DELETE FROM build_step WHERE layer IS NULL AND used_at <= ?", (before,))
        return doomed, await self._layers.collect()

    async def forget(self, keys: list[str]) -> int:
        """Forgets those records; returns the bytes freed."""
        self._forget(keys)
        return await self._layers.collect()

    def forget_empty(self) -> None:
        """Forgets the records of steps that changed no files: they take no space, but hide that a step would run."""
        with self._state.transaction() as sql:
            sql.execute("DELETE FROM build_step WHERE layer IS NULL")

    async def trim(self) -> None:
        """Forgets the least recently used records until the rest is within the limit."""
        entries = self.entries()
        excess = sum(entry.size for entry in entries) - self._limit
        doomed: list[str] = []
        for entry in entries:
            if excess <= 0:
                break
            doomed.append(entry.key)
            excess -= entry.size
        if doomed:
            self._forget(doomed)
            await self._layers.collect()

    def _forget(self, keys: list[str]) -> None:
        with self._state.transaction() as sql:
            for key in keys:
                sql.execute("DELETE FROM build_step WHERE key = ?", (key,))
                self._layers.release(_OWNER + key)

    def _now(self) -> str:
        return self._clock.now().isoformat()
