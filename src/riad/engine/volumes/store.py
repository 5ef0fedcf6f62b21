"""The only SQL about volumes."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path

from riad.engine.state import State
from riad.engine.volumes.model import Volume

STEPS = (
    "CREATE TABLE volume (name TEXT PRIMARY KEY, created_at TEXT NOT NULL, labels TEXT NOT NULL)",
    "ALTER TABLE volume ADD COLUMN options TEXT NOT NULL DEFAULT '{}'",
)


class VolumeStore:
    """`root` holds one folder for each volume, with its files in `_data`."""

    def __init__(self, state: State, root: Path) -> None:
        self._state = state
        self._root = root
        state.migrate("volumes", STEPS)

    def add(self, volume: Volume) -> None:
        with self._state.transaction() as sql:
            sql.execute(
                "INSERT INTO volume VALUES (?, ?, ?, ?)",
                (
                    volume.name,
                    volume.created_at.isoformat(),
                    json.dumps(dict(volume.labels)),
                    json.dumps(dict(volume.options)),
                ),
            )

    def delete(self, name: str) -> None:
        """Twice is no error."""
        with self._state.transaction() as sql:
            sql.execute("DELETE FROM volume WHERE name = ?", (name,))

    def get(self, name: str) -> Volume | None:
        row = self._state.connection.execute("SELECT * FROM volume WHERE name = ?", (name,)).fetchone()
        return None if row is None else self._volume(row)

    def all(self) -> list[Volume]:
        return [self._volume(row) for row in self._state.connection.execute("SELECT * FROM volume ORDER BY name")]

    def _volume(self, row: sqlite3.Row) -> Volume:
        return Volume(
            name=row["name"],
            mountpoint=self._root / row["name"] / "_data",
            created_at=datetime.fromisoformat(row["created_at"]),
            labels=json.loads(row["labels"]),
            options=json.loads(row["options"]),
        )
